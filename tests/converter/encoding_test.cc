// Number formats and screens, row by row, and as options of tied-convert.
#include "converter/encoding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "converter/error.h"
#include "kernels/float_formats.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using converter::EncodedRows;
using converter::TableEncoding;
using format::DataType;

struct Encoded {
  EncodedRows rows;
  std::vector<float> decoded;
};

Encoded Encode(const TableEncoding& encoding, const std::vector<float>& values, size_t cols) {
  Encoded encoded;
  std::vector<float> decoded;
  const float* meant = converter::EncodeRows(
      encoding, {0, values.size() / cols, values.data(), nullptr, nullptr, nullptr}, cols, &encoded.rows, &decoded);
  encoded.decoded.assign(meant, meant + values.size());
  return encoded;
}

// The finite numbers of a 16-bit type, in their order, from -largest to largest.
template <class Narrow>
std::vector<float> AllNumbers() {
  std::vector<float> numbers;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = kernels::Widen(Narrow{static_cast<uint16_t>(bits)});
    if (std::isfinite(value)) numbers.push_back(value);
  }
  return numbers;
}

template <class Narrow>
void ExpectNearest(DataType type) {
  std::vector<float> numbers = AllNumbers<Narrow>();
  // Each number, and what is just below, at and just above half way to the next.
  std::vector<float> values = numbers;
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 0; i + 1 < numbers.size(); ++i) {
    const float half = static_cast<float>((static_cast<double>(numbers[i]) + static_cast<double>(numbers[i + 1])) / 2);
    values.insert(values.end(), {std::nextafter(half, -INFINITY), half, std::nextafter(half, INFINITY)});
  }
  const Encoded encoded = Encode({type}, values, 1);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, &encoded.rows.values[2 * i], sizeof bits);
    ASSERT_EQ(kernels::Widen(Narrow{bits}), encoded.decoded[i]);
    const auto above = std::lower_bound(numbers.begin(), numbers.end(), values[i]);
    ASSERT_NE(above, numbers.end());
    const double up = static_cast<double>(*above) - static_cast<double>(values[i]);
    const double down =
        above == numbers.begin() ? INFINITY : static_cast<double>(values[i]) - static_cast<double>(above[-1]);
    const double error = std::fabs(static_cast<double>(encoded.decoded[i]) - static_cast<double>(values[i]));
    ASSERT_EQ(error, std::min(up, down)) << values[i];
    ASSERT_TRUE(up != down || bits % 2 == 0) << "tie " << values[i];
  }
}

TEST(Encoding, Float16IsTheNearestWithTiesToEven) { ExpectNearest<kernels::Half>(DataType::Float16); }
TEST(Encoding, BFloat16IsTheNearestWithTiesToEven) { ExpectNearest<kernels::BFloat16>(DataType::BFloat16); }

class IntegerEncoding : public testing::TestWithParam<std::tuple<DataType, size_t, Numbers>> {};

// Half a step of the scale that each weight has.
TEST_P(IntegerEncoding, IsWithinHalfAStep) {
  const auto [type, cols, numbers] = GetParam();
  std::vector<float> values = MakeNumbers(numbers, 20 * cols, cols);
  std::fill_n(values.begin(), cols, 0.0f);
  const Encoded encoded = Encode({type}, values, cols);
  const size_t block = type == DataType::Int4 ? 32 : cols;
  const size_t blocks = (cols + block - 1) / block;
  ASSERT_EQ(encoded.rows.scales.size(), 20 * blocks);
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = encoded.rows.scales[i / cols * blocks + i % cols / block];
    ASSERT_GT(scale, 0.0f);
    ASSERT_LE(std::fabs(encoded.decoded[i] - values[i]), scale * 0.5001f);
  }
}

class Screens : public testing::TestWithParam<std::tuple<DataType, size_t, Numbers>> {};

// Each residual norm is the least float32 that is not below the truth, give or take a rounding.
TEST_P(Screens, KnowWhatTheyLack) {
  const auto [type, cols, numbers] = GetParam();
  const std::vector<float> values = MakeNumbers(numbers, 20 * cols, cols);
  const Encoded encoded = Encode({type, true}, values, cols);
  for (size_t r = 0; r < 20; ++r) {
    double norm2 = 0;
    for (size_t k = 0; k < cols; ++k) {
      const double residual = static_cast<double>(encoded.decoded[r * cols + k]) -
                              static_cast<double>(encoded.rows.screen_scales[r]) * encoded.rows.screen[r * cols + k];
      norm2 += residual * residual;
    }
    const double stored = static_cast<double>(encoded.rows.residual_norms[r]);
    ASSERT_GE(stored, std::sqrt(norm2));
    ASSERT_LE(stored, std::sqrt(norm2) * (1 + 1e-6) + 1e-44);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Screens,
    testing::Combine(testing::Values(DataType::Float32, DataType::BFloat16), testing::Values(1u, 31u, 100u),
                     testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes, Numbers::kSubnormal)));

INSTANTIATE_TEST_SUITE_P(
    All, IntegerEncoding,
    testing::Combine(testing::Values(DataType::Int8, DataType::Int4), testing::Values(1u, 31u, 32u, 100u),
                     testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes, Numbers::kSubnormal)));

TEST(Encoding, NumbersThatTheFormatDoesNotHaveAreRefusedWithTheirRow) {
  const float infinity = std::numeric_limits<float>::infinity();
  const struct {
    TableEncoding encoding;
    float bad;
  } cases[] = {{{DataType::Float16}, 65520.0f},      {{DataType::BFloat16}, 3.4e38f}, {{DataType::Int8}, infinity},
               {{DataType::Int8}, std::nanf("")},    {{DataType::Int4}, -infinity},   {{DataType::Int4}, std::nanf("")},
               {{DataType::Float32, true}, infinity}};
  for (const auto& c : cases) {
    std::vector<float> values(5 * 4, 1.0f);
    values[3 * 4 + 2] = c.bad;
    try {
      Encode(c.encoding, values, 4);
      ADD_FAILURE() << format::EnumNameDataType(c.encoding.type) << " took " << c.bad;
    } catch (const converter::ConvertError& error) {
      EXPECT_NE(std::string(error.what()).find("row 3"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace tied::test
