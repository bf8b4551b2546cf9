#include "kernels/gemm_xnnpack.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "kernels/cpu.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 531;  // two complete tiles and a partial one
constexpr size_t kCols = 41;

// XNNPACK may read 16 bytes past the end of the table.
std::vector<float> Table() { return MakeNumbers(Numbers::kNormal, kRows * kCols + 4, 1); }

#define SKIP_WITHOUT_CPUINFO() \
  if (!kernels::CpuinfoWorks()) GTEST_SKIP() << "cpuinfo, which XNNPACK asks, does not know this CPU"

class GemmXnnpack : public testing::TestWithParam<std::tuple<size_t, size_t>> {
 protected:
  void SetUp() override { SKIP_WITHOUT_CPUINFO(); }
};

// The bound holds for any order of summation: cols products and cols sums round.
TEST_P(GemmXnnpack, IsWithinTheErrorBoundOfTheExactProduct) {
  const auto [threads, tokens] = GetParam();
  const std::vector<float> table = Table();
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, tokens * kCols, 2);
  const size_t stride = kRows + 3;
  std::vector<float> logits(tokens * stride, -12345.0f);
  const std::atomic<bool> cancelled{false};
  const pthreadpool_t pool = pthreadpool_create(threads);
  ASSERT_TRUE(kernels::GemmXnnpack(pool, {table.data(), nullptr, nullptr}, kRows, kCols, hidden.data(), tokens,
                                   logits.data(), stride, cancelled));
  pthreadpool_destroy(pool);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < stride; ++r) {
      const float logit = logits[t * stride + r];
      if (r >= kRows) {
        EXPECT_EQ(logit, -12345.0f);
        continue;
      }
      const DoubleDot exact = ExactDot(&table[r * kCols], &hidden[t * kCols], kCols);
      EXPECT_LE(std::fabs(static_cast<double>(logit) - exact.value), Gamma(2 * kCols) * exact.magnitude);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ThreadsAndTokens, GemmXnnpack,
                         testing::Combine(testing::Values(1u, 3u), testing::Values(1u, 7u, 16u, 64u)));

TEST(GemmXnnpack, ComputesNothingOnceCancelled) {
  SKIP_WITHOUT_CPUINFO();
  const std::vector<float> table = Table();
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kCols, 2);
  std::vector<float> logits(kRows, -12345.0f);
  const std::atomic<bool> cancelled{true};
  EXPECT_TRUE(kernels::GemmXnnpack(nullptr, {table.data(), nullptr, nullptr}, kRows, kCols, hidden.data(), 1,
                                   logits.data(), kRows, cancelled));
  EXPECT_EQ(logits, std::vector<float>(kRows, -12345.0f));
}

}  // namespace
}  // namespace tied::test
