#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/activations.h"
#include "kernels/float_formats.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

// IEEE 754-2019, 3.4: (-1)^s * 2^(e - bias) * 1.m, or 2^(1 - bias) * 0.m for e = 0.
float Decode(uint16_t bits, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa == 0 ? static_cast<float>(sign * INFINITY) : std::numeric_limits<float>::quiet_NaN();
  }
  const int whole = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
  return static_cast<float>(sign * std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits));
}

TEST(FloatFormats, WidenEveryNumberExactly) {
  std::vector<float> half, half_expected, bfloat, bfloat_expected;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto narrow = static_cast<uint16_t>(bits);
    half.push_back(kernels::Widen(kernels::Half{narrow}));
    half_expected.push_back(Decode(narrow, 5));
    bfloat.push_back(kernels::Widen(kernels::BFloat16{narrow}));
    bfloat_expected.push_back(Decode(narrow, 8));
  }
  EXPECT_EQ(FirstDifference(half, half_expected), -1);
  EXPECT_EQ(FirstDifference(bfloat, bfloat_expected), -1);
}

class Activations : public testing::TestWithParam<Numbers> {};

TEST_P(Activations, TimesTheirScaleAreWithinHalfAScaleOfTheHiddenState) {
  for (const size_t cols : {1u, 31u, 1024u}) {
    const std::vector<float> x = MakeNumbers(GetParam(), cols, cols);
    std::vector<int16_t> q(cols);
    const kernels::ActivationScale scale = kernels::QuantiseHidden(x.data(), cols, q.data());
    double total = 0;
    int largest = 0;
    for (size_t k = 0; k < cols; ++k) {
      const double error = static_cast<double>(x[k]) - scale.scale * q[k];
      EXPECT_LE(std::fabs(error), scale.scale * (0.5 + 1e-9));
      largest = std::max(largest, std::abs(int{q[k]}));
      total += q[k];
    }
    EXPECT_EQ(scale.total, total);
    EXPECT_EQ(largest, kernels::kMaxActivation);
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers, Activations,
                         testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes, Numbers::kSubnormal));

TEST(Activations, OfZerosAreZeroAndOfInfinityAndNaNHaveNoScale) {
  std::vector<int16_t> q(3, 7);
  EXPECT_EQ(kernels::QuantiseHidden(std::vector<float>{0, -0.0f, 0}.data(), 3, q.data()).scale, 0);
  EXPECT_EQ(q, std::vector<int16_t>(3, 0));
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    EXPECT_TRUE(std::isnan(kernels::QuantiseHidden(std::vector<float>{1, bad, 2}.data(), 3, q.data()).scale));
  }
}

}  // namespace
}  // namespace tied::test
