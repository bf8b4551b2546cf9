#include <gtest/gtest.h>

#include <cfenv>
#include <thread>

#include "kernels/cpu.h"
#include "kernels/float_environment.h"
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace tied::test {
namespace {

float Third() {
  volatile float one = 1, three = 3;
  return one / three;
}

TEST(FloatEnvironment, RoundsToNearestWithinAndRestoresTheCallersModeBehind) {
  const float nearest = Third();
  std::fesetround(FE_DOWNWARD);
  const float down = Third();
  {
    const kernels::ScopedFloatEnvironment environment;
    EXPECT_EQ(Third(), nearest);
  }
  EXPECT_EQ(Third(), down);
  EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
  std::fesetround(FE_TONEAREST);
  EXPECT_NE(down, nearest);
}

#if defined(__SSE__)
TEST(FloatEnvironment, KeepsSubnormalNumbersWhereTheCallerFlushesThem) {
  const auto half = [] {
    volatile float tiny = 0x1p-126f, two = 2;
    return tiny / two;
  };
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // flush-to-zero and denormals-are-zero
  const float flushed = half();
  float kept;
  {
    const kernels::ScopedFloatEnvironment environment;
    kept = half();
  }
  const unsigned behind = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(flushed, 0.0f);
  EXPECT_EQ(kept, 0x1p-127f);
  EXPECT_EQ(behind & 0x8040, 0x8040u);
}
#endif

TEST(Cpu, HasBetweenOneAndAllOfTheProcessorsAsPerformanceCores) {
  EXPECT_GE(kernels::PerformanceCoreCount(), 1u);
  EXPECT_LE(kernels::PerformanceCoreCount(), std::thread::hardware_concurrency());
}

}  // namespace
}  // namespace tied::test
