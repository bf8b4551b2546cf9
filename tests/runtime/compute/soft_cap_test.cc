// Compares tanh and the soft cap with long double: both keep the error bound of soft_cap.h and never decrease.
#include "runtime/compute/soft_cap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace tied::runtime {
namespace {

float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr uint32_t kInfinity = 0x7F800000;

// The error in units in the last place of the exact value.
long double Error(float x) {
  const long double exact = std::tanh(static_cast<long double>(x));
  const auto nearest = static_cast<float>(exact);
  const float up = std::nextafter(std::fabs(nearest), INFINITY);
  const long double unit = static_cast<long double>(up) - static_cast<long double>(std::fabs(nearest));
  return std::fabs(static_cast<long double>(Tanh(x)) - exact) / unit;
}

TEST(SoftCap, TanhIsWithinItsBoundForFloatsOfEverySize) {
  for (uint32_t bits = 0; bits < kInfinity; bits += 4099) {
    ASSERT_LE(Error(FloatOf(bits)), 0.5001L) << FloatOf(bits);
  }
}

// Compares all neighbours in short ranges, one of them around 2^-9 where the formula changes, and steps of 1, 2 and 5
// floats at sparse places from 0 to infinity.
TEST(SoftCap, TanhNeverDecreases) {
  const std::pair<float, float> runs[] = {
      {0x1.fff8p-10F, 0x1.0008p-9F}, {0x1.fff8p-2F, 0x1.0008p-1F}, {8.9F, 9.1F}, {0x1p-126F, 0x1.0001p-126F}};
  for (const auto& [first, last] : runs) {
    for (float x = first; x < last; x = std::nextafter(x, INFINITY)) {
      ASSERT_LE(Tanh(x), Tanh(std::nextafter(x, INFINITY))) << x;
    }
  }
  for (uint32_t bits = 0; bits < kInfinity - 5; bits += 1021) {
    for (const uint32_t step : {1u, 2u, 5u}) {
      ASSERT_LE(Tanh(FloatOf(bits)), Tanh(FloatOf(bits + step))) << FloatOf(bits);
      ASSERT_GE(Tanh(-FloatOf(bits)), Tanh(-FloatOf(bits + step))) << FloatOf(bits);
    }
  }
}

TEST(SoftCap, TanhKnowsItsEnds) {
  EXPECT_EQ(Tanh(INFINITY), 1.0F);
  EXPECT_EQ(Tanh(-INFINITY), -1.0F);
  EXPECT_EQ(Tanh(1e30F), 1.0F);
  EXPECT_TRUE(std::isnan(Tanh(NAN)));
  EXPECT_FALSE(std::signbit(Tanh(0.0F)));
  EXPECT_TRUE(std::signbit(Tanh(-0.0F)));
  EXPECT_EQ(Tanh(std::numeric_limits<float>::denorm_min()), std::numeric_limits<float>::denorm_min());
}

TEST(SoftCap, NeverDecreasesAndStaysBelowTheCap) {
  for (const float cap : {0x1p-100F, 0.3F, 15.0F, 30.0F, 50.0F, 3e38F}) {
    float before = SoftCap(-INFINITY, cap);
    EXPECT_EQ(before, -cap);
    for (float x = -4 * cap; x <= 4 * cap && std::isfinite(x); x += cap / 1000) {
      const float capped = SoftCap(x, cap);
      ASSERT_LE(before, capped) << x << " of " << cap;
      ASSERT_LE(std::fabs(capped), cap);
      const long double exact = cap * std::tanh(static_cast<long double>(x) / cap);
      ASSERT_LE(std::fabs(capped - exact), 3e-7L * cap);
      before = capped;
    }
    EXPECT_EQ(SoftCap(INFINITY, cap), cap);
    EXPECT_TRUE(std::isnan(SoftCap(NAN, cap)));
  }
}

}  // namespace
}  // namespace tied::runtime
