#include "runtime/compute/screened_log_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tied::test {
namespace {

constexpr size_t kRows = 1000;

runtime::HeadBatch Batch(const std::atomic<bool>& cancelled) {
  runtime::HeadBatch batch = {};
  batch.table.rows = kRows;
  batch.tokens = 1;
  batch.cancelled = &cancelled;
  return batch;
}

TEST(ScreenedLogSum, NeedsTooManyRowsWhereNothingIsKnown) {
  const std::atomic<bool> cancelled{false};
  const std::vector<float> unknown(kRows, INFINITY), zeros(kRows, 0.0f);
  runtime::LogZ log_z = {};
  uint64_t computed = 0;
  EXPECT_EQ(
      runtime::ScreenedLogSum(nullptr, Batch(cancelled), 0, {unknown.data(), zeros.data()}, 1e-3, &log_z, &computed),
      runtime::ScreenOutcome::kTooMany);
}

// The logits are null, so that reading one would crash.
TEST(ScreenedLogSum, ReadsNoLogitOnceCancelled) {
  const std::atomic<bool> cancelled{true};
  runtime::LogZ log_z = {};
  uint64_t computed = 0;
  EXPECT_EQ(runtime::ScreenedLogSum(nullptr, Batch(cancelled), 0, {nullptr, nullptr}, 1e-3, &log_z, &computed),
            runtime::ScreenOutcome::kDone);
  EXPECT_EQ(computed, 0u);
}

}  // namespace
}  // namespace tied::test
