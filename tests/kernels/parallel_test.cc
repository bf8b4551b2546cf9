#include "kernels/parallel.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <memory>
#include <thread>
#include <vector>

namespace tied::test {
namespace {

using kernels::ForEachTile;
using kernels::Tile;

struct PoolDeleter {
  void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};
using Pool = std::unique_ptr<struct pthreadpool, PoolDeleter>;

// The parameter is the number of threads; 0 means no pool.
class Tiles : public testing::TestWithParam<size_t> {
 protected:
  size_t threads() const { return std::max<size_t>(GetParam(), 1); }

  const Pool pool_{GetParam() == 0 ? nullptr : pthreadpool_create(GetParam())};
  std::atomic<bool> cancelled_{false};
};

TEST_P(Tiles, CoverEachItemOnce) {
  for (const size_t items : {0u, 1u, 6u, 7u, 8u, 1000u}) {
    std::vector<std::atomic<int>> runs(items);
    ForEachTile(pool_.get(), cancelled_, items, 7, [&](const Tile& tile) {
      EXPECT_EQ(tile.first % 7, 0u);
      EXPECT_LE(tile.count, 7u);
      for (size_t i = tile.first; i < tile.first + tile.count; ++i) ++runs[i];
    });
    for (size_t i = 0; i < items; ++i) EXPECT_EQ(runs[i], 1) << i << " of " << items;
  }
}

TEST_P(Tiles, HaveAWorkerToThemselvesWhileTheyRun) {
  std::vector<std::atomic<int>> running(threads());
  ForEachTile(pool_.get(), cancelled_, 200, 1, [&](const Tile& tile) {
    ASSERT_LT(tile.worker, threads());
    EXPECT_EQ(running[tile.worker].fetch_add(1), 0);
    std::this_thread::yield();
    running[tile.worker].fetch_sub(1);
  });
}

// A sum and not fegetround(), which on x86-64 tells how the x87 rounds.
bool RoundsDown() {
  const volatile float one = 1, tiny = 0x1p-30f;
  return one - tiny < 1;
}

TEST_P(Tiles, RoundToNearestWhateverTheCallerHasSet) {
  std::fesetround(FE_DOWNWARD);
  std::atomic<int> wrong{0};
  ForEachTile(pool_.get(), cancelled_, 64, 1, [&](const Tile&) { wrong += RoundsDown() ? 1 : 0; });
  const bool after = RoundsDown();
  std::fesetround(FE_TONEAREST);
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(after);
}

// Only tiles that are running when the flag is set may complete.
TEST_P(Tiles, AreSkippedOnceCancelled) {
  std::atomic<size_t> runs{0};
  ForEachTile(pool_.get(), cancelled_, 1000, 1, [&](const Tile&) {
    cancelled_ = true;
    ++runs;
  });
  EXPECT_GE(runs, 1u);
  EXPECT_LE(runs, threads());
  ForEachTile(pool_.get(), cancelled_, 1000, 1, [&](const Tile&) { runs = 2000; });
  EXPECT_LE(runs, threads());
}

INSTANTIATE_TEST_SUITE_P(Threads, Tiles, testing::Values(0u, 1u, 2u, 7u));

}  // namespace
}  // namespace tied::test
