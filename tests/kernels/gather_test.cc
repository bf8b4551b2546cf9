#include "kernels/gather.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/guarded_buffer.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

class Gather : public testing::TestWithParam<std::tuple<size_t, float>> {
 protected:
  // A row with many different bit patterns.
  template <class T>
  static std::vector<T> Row(size_t count) {
    std::vector<T> row(count);
    uint32_t state = 1;
    for (T& value : row) {
      state = state * 1664525u + 1013904223u;
      std::memcpy(&value, reinterpret_cast<const char*>(&state) + 2, std::min<size_t>(sizeof value, 2));
    }
    return row;
  }

  template <class T, class Call, class Element>
  void Check(const std::vector<T>& values, const Call& call, const Element& element) const {
    const auto [cols, scale] = GetParam();
    const GuardedBuffer<T> row(values);
    std::vector<float> expected(cols), embedding(cols);
    for (size_t k = 0; k < cols; ++k) expected[k] = element(k) * scale;
    call(row.data(), cols, scale, embedding.data());
    EXPECT_EQ(FirstDifference(expected, embedding), -1);
  }
};

TEST_P(Gather, MultipliesEachElement) {
  const size_t cols = std::get<0>(GetParam());
  const auto floats = [](const auto* row, size_t n, float scale, float* to) { kernels::GatherRow(row, n, scale, to); };
  const std::vector<float> f32 = MakeNumbers(Numbers::kSpecial, cols, cols);
  Check(f32, floats, [&](size_t k) { return f32[k]; });
  const auto f16 = Row<kernels::Half>(cols);
  Check(f16, floats, [&](size_t k) { return kernels::Widen(f16[k]); });
  const auto bf16 = Row<kernels::BFloat16>(cols);
  Check(bf16, floats, [&](size_t k) { return kernels::Widen(bf16[k]); });
  const auto bytes = [](const auto* row, size_t n, float scale, float* to) {
    kernels::GatherRow(row, n, 3, 0.1f, scale, to);
  };
  const auto i8 = Row<int8_t>(cols);
  Check(i8, bytes, [&](size_t k) { return static_cast<float>(i8[k] - 3) * 0.1f; });
  const auto u8 = Row<uint8_t>(cols);
  Check(u8, bytes, [&](size_t k) { return static_cast<float>(u8[k] - 3) * 0.1f; });
  const std::vector<float> scales = MakeNumbers(Numbers::kNormal, kernels::BlocksOf(cols), 1);
  const auto zeros = Row<uint8_t>(kernels::BlocksOf(cols));
  const auto halves = Row<kernels::Half>(kernels::BlocksOf(cols));
  const auto check_blocks = [&](const auto& values, const uint8_t* zero_points, const auto& integer) {
    const auto call = [&](const auto* row, size_t n, float scale, float* to) {
      kernels::GatherBlocks(row, {scales.data(), nullptr, zero_points}, n, scale, to);
    };
    Check(values, call, [&](size_t k) { return static_cast<float>(integer(k)) * scales[k / 32]; });
    const auto call_half = [&](const auto* row, size_t n, float scale, float* to) {
      kernels::GatherBlocks(row, {nullptr, halves.data(), zero_points}, n, scale, to);
    };
    Check(values, call_half, [&](size_t k) { return static_cast<float>(integer(k)) * kernels::Widen(halves[k / 32]); });
  };
  const auto i4 = Row<kernels::NibblePair>(kernels::BlocksOf(cols) * 16);
  const auto nibble = [&](size_t k) { return k % 2 ? i4[k / 2].both >> 4 : i4[k / 2].both & 15; };
  check_blocks(i4, nullptr, [&](size_t k) { return nibble(k) - 8; });
  check_blocks(i4, zeros.data(),
               [&](size_t k) { return static_cast<float>(nibble(k)) - static_cast<float>(zeros[k / 32]) / 16; });
  check_blocks(i8, nullptr, [&](size_t k) { return i8[k]; });
  check_blocks(i8, zeros.data(), [&](size_t k) { return i8[k] - static_cast<int8_t>(zeros[k / 32]); });
  check_blocks(u8, nullptr, [&](size_t k) { return u8[k]; });
  check_blocks(u8, zeros.data(), [&](size_t k) { return u8[k] - zeros[k / 32]; });
}

INSTANTIATE_TEST_SUITE_P(All, Gather,
                         testing::Combine(testing::Values(1u, 7u, 64u, 1021u), testing::Values(1.0f, 32.0f, 0.1f)));

}  // namespace
}  // namespace tied::test
