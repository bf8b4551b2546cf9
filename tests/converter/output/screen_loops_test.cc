// The loops that make screens, beside their definitions.
#include "converter/output/screen_loops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using converter::ScreenLoops;
using converter::ScreenSquares;

// A multiple of 2^-14, which has few significant bits.
constexpr float kScale = 0x1.4p-6f;

class Loops : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { values_ = MakeNumbers(Numbers::kNormal, GetParam(), 5); }

  std::vector<float> values_;
};

int Integer(float value) {
  return static_cast<int>(
      std::nearbyint(std::clamp(static_cast<double>(value) / static_cast<double>(kScale), -128.0, 127.0)));
}

TEST_P(Loops, RoundAndSumErrors) {
  const ScreenLoops& loops = converter::FastestScreenLoops();
  std::vector<uint8_t> integers(values_.size() + 1, 77);
  const ScreenSquares<double> squares = loops.quantise(values_.data(), values_.size(), kScale, integers.data());
  const ScreenSquares<float> steps = loops.measure(values_.data(), values_.size(), kScale);
  ScreenSquares<double> expected = {};
  for (size_t k = 0; k < values_.size(); ++k) {
    const int integer = Integer(values_[k]);
    ASSERT_EQ(integers[k], integer + 128) << k;
    const double value = static_cast<double>(values_[k]), scale = static_cast<double>(kScale);
    expected.upper += std::pow(value - scale * ((integers[k] & ~15) + 7.5 - 128), 2);
    expected.both += std::pow(value - scale * integer, 2);
  }
  EXPECT_EQ(integers.back(), 77);
  // An error is rounded once, and squared.
  EXPECT_NEAR(squares.upper, expected.upper, expected.upper * 0x1p-22);
  EXPECT_NEAR(squares.both, expected.both, expected.both * 0x1p-22);
  const double square = std::pow(static_cast<double>(kScale), 2);
  EXPECT_NEAR(static_cast<double>(steps.upper) * square, expected.upper, expected.upper * 1e-4);
  EXPECT_NEAR(static_cast<double>(steps.both) * square, expected.both, expected.both * 1e-4);
}

TEST_P(Loops, SplitIntegers) {
  const ScreenLoops& loops = converter::FastestScreenLoops();
  std::vector<uint8_t> integers(2 * GetParam());
  for (size_t k = 0; k < integers.size(); ++k) integers[k] = static_cast<uint8_t>(k * 37 + 11);
  std::vector<uint8_t> upper(GetParam()), lower(GetParam());
  loops.split(integers.data(), GetParam(), upper.data(), lower.data());
  uint32_t squares = 0;
  for (size_t k = 0; k < integers.size(); ++k) {
    ASSERT_EQ(upper[k / 2] >> (k % 2 * 4) & 15, integers[k] >> 4) << k;
    ASSERT_EQ(lower[k / 2] >> (k % 2 * 4) & 15, integers[k] & 15) << k;
    squares += static_cast<uint32_t>(std::pow(2 * (integers[k] & 15) - 15, 2));
  }
  EXPECT_EQ(loops.lower_squares(integers.data(), integers.size()), squares);
}

template <class Squares>
void ExpectSameBits(const Squares& a, const Squares& b) {
  EXPECT_EQ(std::memcmp(&a, &b, sizeof a), 0);
}

TEST_P(Loops, GiveTheSameBitsOnEveryCpu) {
  const ScreenLoops *const fast = converter::Avx2ScreenLoops(), &baseline = converter::kBaselineScreenLoops;
  if (fast == nullptr) GTEST_SKIP() << "this CPU has one set";
  const size_t count = GetParam();
  for (const Numbers numbers : {Numbers::kNormal, Numbers::kMixedMagnitudes, Numbers::kSubnormal}) {
    const std::vector<float> values = MakeNumbers(numbers, count, 6);
    for (const float scale : {kScale, 0x1.23p-3f, 0x1p-126f}) {
      std::vector<uint8_t> integers(2 * count), others(2 * count);
      ExpectSameBits(fast->measure(values.data(), count, scale), baseline.measure(values.data(), count, scale));
      ExpectSameBits(fast->quantise(values.data(), count, scale, integers.data()),
                     baseline.quantise(values.data(), count, scale, others.data()));
      EXPECT_EQ(integers, others);
      std::vector<uint8_t> planes(2 * count), other_planes(2 * count);
      fast->split(integers.data(), count, planes.data(), &planes[count]);
      baseline.split(integers.data(), count, other_planes.data(), &other_planes[count]);
      EXPECT_EQ(planes, other_planes);
      EXPECT_EQ(fast->lower_squares(integers.data(), count), baseline.lower_squares(integers.data(), count));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Counts, Loops, testing::Values(1u, 15u, 16u, 17u, 127u, 128u, 143u, 1024u, 1031u));

}  // namespace
}  // namespace tied::test
