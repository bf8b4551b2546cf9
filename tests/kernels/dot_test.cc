#include <cpuinfo.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/kernels.h"
#include "tests/kernels/guarded_buffer.h"
#include "tests/support/oracle.h"
#if defined(TIED_TEST_WIDE_TILE)
#include "tests/kernels/wide_tile.h"
#endif

namespace tied::test {
namespace {

using kernels::Kernels;

const Kernels& Scalar() { return *kernels::AllKernels()[0]; }

std::vector<const Kernels*> VectorSets() {
  std::vector<const Kernels*> sets;
  for (const Kernels* const* set = kernels::AllKernels() + 1; *set != nullptr; ++set) sets.push_back(*set);
#if defined(TIED_TEST_WIDE_TILE)
  sets.push_back(&kWideTile);
#endif
  return sets;
}

struct Problem {
  size_t rows;
  size_t cols;
  size_t tokens;
  std::vector<float> table;
  std::vector<float> hidden;
};

Problem MakeProblem(Numbers numbers, size_t rows, size_t cols, size_t tokens) {
  return {rows, cols, tokens, MakeNumbers(numbers, rows * cols, 1), MakeNumbers(numbers, tokens * cols, 2)};
}

// The logits [tokens, rows], the rows being given to the kernel `rows_per_call` at a time.
std::vector<float> Dot(const Kernels& set, const Problem& problem, size_t rows_per_call) {
  const GuardedBuffer table(problem.table);
  const GuardedBuffer hidden(problem.hidden);
  constexpr std::align_val_t kAlignment{64};
  const size_t packed_floats = kernels::PackedHiddenSize(problem.tokens, problem.cols);
  const auto release = [](float* p) { ::operator delete(p, kAlignment); };
  const std::unique_ptr<float, decltype(release)> packed(
      static_cast<float*>(::operator new(packed_floats * sizeof(float), kAlignment)), release);
  set.pack_hidden(hidden.data(), problem.tokens, problem.cols, packed.get());
  std::vector<float> logits(problem.tokens * problem.rows, -12345.0f);
  for (size_t first = 0; first < problem.rows; first += rows_per_call) {
    set.dot_f32(table.data() + first * problem.cols, std::min(rows_per_call, problem.rows - first), problem.cols,
                packed.get(), problem.tokens, logits.data() + first, problem.rows);
  }
  return logits;
}

using Shape = std::tuple<const Kernels*, Numbers, size_t, size_t, size_t>;

class DotF32 : public testing::TestWithParam<Shape> {};

TEST_P(DotF32, HasTheBitsOfTheScalarDefinition) {
  const auto [set, numbers, rows, cols, tokens] = GetParam();
  if (!cpuinfo_initialize() || !set->available()) GTEST_SKIP() << "this CPU lacks " << set->isa;
  const Problem problem = MakeProblem(numbers, rows, cols, tokens);
  const std::vector<float> expected = Dot(Scalar(), problem, rows);
  for (const size_t rows_per_call : {rows, size_t{1}, size_t{5}}) {
    EXPECT_EQ(FirstDifference(expected, Dot(*set, problem, rows_per_call)), -1) << rows_per_call << " rows a call";
  }
}

std::string Name(const testing::TestParamInfo<Shape>& info) {
  const auto& [set, numbers, rows, cols, tokens] = info.param;
  return std::string(set->isa) + "_" + testing::PrintToString(numbers) + "_" + std::to_string(rows) + "x" +
         std::to_string(cols) + "_" + std::to_string(tokens) + "tokens";
}

// Columns around the vector's width, rows and tokens around the tiles'.
INSTANTIATE_TEST_SUITE_P(Columns, DotF32,
                         testing::Combine(testing::ValuesIn(VectorSets()),
                                          testing::Values(Numbers::kNormal, Numbers::kSpecial), testing::Values(7u),
                                          testing::Values(1u, 3u, 7u, 8u, 9u, 31u, 64u, 257u, 1021u, 1024u),
                                          testing::Values(1u, 4u)),
                         Name);
INSTANTIATE_TEST_SUITE_P(RowsAndTokens, DotF32,
                         testing::Combine(testing::ValuesIn(VectorSets()),
                                          testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes,
                                                          Numbers::kSubnormal),
                                          testing::Values(1u, 2u, 3u, 4u, 5u, 13u), testing::Values(41u),
                                          testing::Values(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 13u, 16u, 64u)),
                         Name);

class ScalarDot : public testing::TestWithParam<std::tuple<Numbers, size_t>> {};

// A lane takes cols / 8 roundings, the tree three. Subnormal results add half of the smallest number each.
TEST_P(ScalarDot, IsWithinTheErrorBoundOfTheExactDot) {
  const auto [numbers, cols] = GetParam();
  const Problem problem = MakeProblem(numbers, 11, cols, 3);
  const std::vector<float> logits = Dot(Scalar(), problem, problem.rows);
  const size_t roundings = (cols + kernels::kLanes - 1) / kernels::kLanes + 3;
  for (size_t t = 0; t < problem.tokens; ++t) {
    for (size_t r = 0; r < problem.rows; ++r) {
      const DoubleDot exact = ExactDot(&problem.table[r * cols], &problem.hidden[t * cols], cols);
      const double bound = Gamma(roundings) * exact.magnitude + static_cast<double>(cols + 3) * 0x1p-150;
      EXPECT_LE(std::fabs(static_cast<double>(logits[t * problem.rows + r]) - exact.value), bound);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScalarDot,
                         testing::Combine(testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes,
                                                          Numbers::kSubnormal),
                                          testing::Values(1u, 8u, 41u, 1024u)));

TEST(ScalarDot, SumsInTheOrderThatItsHeaderComments) {
  // 1e8 + 1 - 1e8 depends on the order: elements 0 and 8 share a lane, 1 does not.
  Problem problem{1, 9, 1, std::vector<float>(9, 0.0f), std::vector<float>(9, 1.0f)};
  problem.table[0] = 1e8f;
  problem.table[1] = 1.0f;
  problem.table[8] = -1e8f;
  EXPECT_EQ(Dot(Scalar(), problem, 1)[0], 1.0f);
  std::swap(problem.table[1], problem.table[8]);
  EXPECT_EQ(Dot(Scalar(), problem, 1)[0], 0.0f);
}

}  // namespace
}  // namespace tied::test
