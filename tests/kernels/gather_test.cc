#include "kernels/gather.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/guarded_buffer.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

TEST(Gather, MultipliesEachElementOnce) {
  for (const size_t cols : {1u, 7u, 64u, 1021u}) {
    const std::vector<float> values = MakeNumbers(Numbers::kSpecial, cols, cols);
    const GuardedBuffer row(values);
    for (const float scale : {1.0f, 32.0f, 0.1f}) {
      std::vector<float> expected;
      for (const float value : values) expected.push_back(value * scale);
      std::vector<float> embedding(cols);
      kernels::GatherRowF32(row.data(), cols, scale, embedding.data());
      EXPECT_EQ(FirstDifference(expected, embedding), -1) << cols << " columns, scale " << scale;
    }
  }
}

}  // namespace
}  // namespace tied::test
