// Reading a table in several threads.
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "converter/graph/table_source.h"

namespace tied::test {
namespace {

using converter::ConvertError;
using converter::RowBlock;

constexpr size_t kCols = 1024, kRows = 2000;

class BlocksInThreads : public testing::TestWithParam<size_t> {
 protected:
  BlocksInThreads() {
    std::vector<float> values(kRows * kCols);
    std::iota(values.begin(), values.end(), 0.0f);
    table_.tensor.name = "table";
    table_.tensor.type = converter::ElementType::kFloat32;
    table_.tensor.dims = {kRows, kCols};
    table_.tensor.SetBytes({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }

  size_t threads() const { return GetParam(); }

  converter::TableSource table_;
};

void NoProgress(uint64_t, uint64_t) {}

TEST_P(BlocksInThreads, AreFinishedInTheOrderOfTheRows) {
  std::vector<double> sums(threads());
  std::vector<uint64_t> firsts;
  uint64_t rows = 0, reported = 0;
  double sum = 0;
  table_.ForEachBlockInThreads(
      threads(),
      [&](size_t thread, const RowBlock& block) {
        sums[thread] = std::accumulate(block.values, block.values + block.count * kCols, 0.0);
      },
      [&](size_t thread, const RowBlock& block) {
        EXPECT_EQ(block.first, rows);
        EXPECT_EQ(block.values[0], static_cast<float>(rows * kCols));
        rows += block.count;
        firsts.push_back(block.first);
        sum += sums[thread];
        return true;
      },
      [&](uint64_t done, uint64_t total) {
        EXPECT_GT(done, reported);
        EXPECT_EQ(total, table_.float_bytes());
        reported = done;
      });
  EXPECT_EQ(rows, kRows);
  EXPECT_EQ(reported, table_.float_bytes());
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, 256, 512, 768, 1024, 1280, 1536, 1792}));
  constexpr double kCount = kRows * kCols;
  EXPECT_EQ(sum, kCount * (kCount - 1) / 2);
}

TEST_P(BlocksInThreads, EndWithTheFirstError) {
  for (const bool in_finish : {false, true}) {
    std::atomic<size_t> finished{0};
    const auto fail = [&](const RowBlock& block) {
      if (block.first >= 512) throw ConvertError("row " + std::to_string(block.first));
    };
    try {
      table_.ForEachBlockInThreads(
          threads(), [&](size_t, const RowBlock& block) { in_finish ? void() : fail(block); },
          [&](size_t, const RowBlock& block) {
            fail(block);
            ++finished;
            return true;
          },
          NoProgress);
      ADD_FAILURE() << "no error";
    } catch (const ConvertError& error) {
      EXPECT_STREQ(error.what(), "row 512");
    }
    EXPECT_EQ(finished, 2u);
  }
}

TEST_P(BlocksInThreads, EndWhenTheyAreToldTo) {
  size_t finished = 0;
  table_.ForEachBlockInThreads(
      threads(), [](size_t, const RowBlock&) {}, [&](size_t, const RowBlock&) { return ++finished < 3; }, NoProgress);
  EXPECT_EQ(finished, 3u);
}

TEST_P(BlocksInThreads, EndWithAnErrorOfProgress) {
  EXPECT_THROW(table_.ForEachBlockInThreads(
                   threads(), [](size_t, const RowBlock&) {}, [](size_t, const RowBlock&) { return true; },
                   [](uint64_t, uint64_t) { throw ConvertError("stop"); }),
               ConvertError);
}

INSTANTIATE_TEST_SUITE_P(Threads, BlocksInThreads, testing::Values(1u, 2u, 8u, 20u));

}  // namespace
}  // namespace tied::test
