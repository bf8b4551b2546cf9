#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/activations.h"
#include "kernels/float_formats.h"
#include "kernels/kernels.h"
#include "tests/kernels/guarded_buffer.h"
#include "tests/kernels/sets.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using kernels::Kernels;

// Formats in blocks come in groups of three: plain, with zero points, with float16 scales, and with both.
enum class Format {
  kF32,
  kF16,
  kBF16,
  kI8,
  kU8,
  kI4,
  kI8Blocks,
  kU8Blocks,
  kI4Zeros,
  kI8BlocksZeros,
  kU8BlocksZeros,
  kI4Half,
  kI8BlocksHalf,
  kU8BlocksHalf,
  kI4HalfZeros,
  kI8BlocksHalfZeros,
  kU8BlocksHalfZeros
};
constexpr int kFirstInBlocks = static_cast<int>(Format::kI4);
std::vector<Format> AllFormats() {
  std::vector<Format> formats;
  for (int i = 0; i <= static_cast<int>(Format::kU8BlocksHalfZeros); ++i) formats.push_back(static_cast<Format>(i));
  return formats;
}
bool IsFloat(Format format) { return format <= Format::kBF16; }
bool InBlocks(Format format) { return format >= Format::kI4; }
int Group(Format format) { return InBlocks(format) ? (static_cast<int>(format) - kFirstInBlocks) / 3 : 0; }
bool HasZeroPoints(Format format) { return Group(format) % 2 == 1; }
bool HasHalfScales(Format format) { return Group(format) >= 2; }
Format Plain(Format format) { return static_cast<Format>(static_cast<int>(format) - 3 * Group(format)); }
std::ostream& operator<<(std::ostream& out, Format format) {
  static constexpr const char* kNames[] = {"f32", "f16", "bf16", "i8", "u8", "i4", "i8blocks", "u8blocks"};
  out << kNames[static_cast<int>(Plain(format))];
  return out << (HasHalfScales(format) ? "half" : "") << (HasZeroPoints(format) ? "zeros" : "");
}
bool IsNibbles(Format format) { return Plain(format) == Format::kI4; }
bool IsSigned(Format format) { return format == Format::kI8 || Plain(format) == Format::kI8Blocks; }

struct Problem {
  Format format;
  size_t rows;
  size_t cols;
  size_t tokens;
  std::vector<uint8_t> table;
  std::vector<float> scales;               // of the blocks
  std::vector<kernels::Half> half_scales;  // the same, for formats that have them
  std::vector<uint8_t> zero_points;        // of the blocks
  std::vector<float> hidden;
  std::vector<int16_t> activations;
  std::vector<double> totals;

  size_t row_bytes() const { return table.size() / rows; }
};

// A 16-bit float with `exponent_bits`, from random bits: of ordinary size, or any number.
uint16_t NarrowFloat(uint64_t random, Numbers numbers, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits;
  const auto bits = static_cast<uint16_t>(random);
  if (numbers == Numbers::kSpecial) return bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = numbers == Numbers::kSubnormal ? 0 : bias - static_cast<int>(random >> 16 & 7);
  const int mask = ((1 << exponent_bits) - 1) << mantissa_bits;
  return static_cast<uint16_t>((bits & ~mask) | exponent << mantissa_bits);
}

std::vector<uint8_t> MakeTable(Format format, Numbers numbers, size_t rows, size_t cols) {
  std::mt19937_64 random(1);
  const size_t element = format == Format::kF32 ? 4 : IsFloat(format) ? 2 : 1;
  const size_t row = IsNibbles(format) ? kernels::BlocksOf(cols) * kernels::kNibbleBlockBytes : cols * element;
  std::vector<uint8_t> table(rows * row);
  if (format == Format::kF32) {
    const std::vector<float> values = MakeNumbers(numbers, rows * cols, 1);
    std::memcpy(table.data(), values.data(), table.size());
  } else if (IsFloat(format)) {
    for (size_t i = 0; i < rows * cols; ++i) {
      const uint16_t value = NarrowFloat(random(), numbers, format == Format::kF16 ? 5 : 8);
      std::memcpy(&table[2 * i], &value, sizeof value);
    }
  } else {
    // Integers have no special numbers; use the extremes, with which sums could overflow.
    const uint8_t extreme = IsSigned(format) ? 0x80 : IsNibbles(format) ? 0x00 : 0xff;
    for (uint8_t& byte : table) byte = numbers == Numbers::kSpecial ? extreme : static_cast<uint8_t>(random());
  }
  return table;
}

Problem MakeProblem(Format format, Numbers numbers, size_t rows, size_t cols, size_t tokens) {
  Problem problem = {format, rows, cols, tokens, MakeTable(format, numbers, rows, cols), {}, {}, {}, {}, {}, {}};
  problem.hidden = MakeNumbers(IsFloat(format) ? numbers : Numbers::kNormal, tokens * cols, 2);
  if (!IsFloat(format) && numbers == Numbers::kSpecial) std::fill_n(problem.hidden.begin(), tokens * cols, -1.0f);
  problem.scales = MakeNumbers(numbers == Numbers::kSpecial ? Numbers::kMixedMagnitudes : numbers,
                               rows * kernels::BlocksOf(cols), 3);
  std::mt19937_64 random(4);
  for (float& scale : problem.scales) {
    if (!HasHalfScales(format)) break;
    problem.half_scales.push_back(
        {NarrowFloat(random(), numbers == Numbers::kSpecial ? Numbers::kNormal : numbers, 5)});
    scale = kernels::Widen(problem.half_scales.back());
  }
  // The zero point farthest from the extreme, or a random byte.
  const uint8_t farthest = IsSigned(format) ? 0x7f : IsNibbles(format) ? 0xff : 0x00;
  for (size_t i = 0; i < problem.scales.size(); ++i) {
    problem.zero_points.push_back(numbers == Numbers::kSpecial ? farthest : static_cast<uint8_t>(random()));
  }
  if (IsFloat(format)) return problem;
  problem.activations.resize(tokens * cols);
  for (size_t t = 0; t < tokens; ++t) {
    problem.totals.push_back(
        kernels::QuantiseHidden(&problem.hidden[t * cols], cols, &problem.activations[t * cols]).total);
  }
  return problem;
}

template <class T>
std::shared_ptr<T> Aligned(size_t count) {
  constexpr std::align_val_t kAlignment{64};
  return {static_cast<T*>(::operator new(count * sizeof(T), kAlignment)),
          [](T* p) { ::operator delete(p, kAlignment); }};
}

// Returns the products [tokens, rows] of the kernel `dot`, with `rows_per_call` rows per call:
// call(dot, rows, index of the first row, number of rows, results).
template <class Result, class Element, class... Arguments, class Call>
std::vector<double> Products(void (*dot)(const Element*, Arguments...), const Problem& problem, size_t rows_per_call,
                             const Call& call) {
  const GuardedBuffer table(problem.table);
  std::vector<Result> results(problem.tokens * problem.rows, Result{-12345});
  for (size_t first = 0; first < problem.rows; first += rows_per_call) {
    const auto* rows = reinterpret_cast<const Element*>(table.data() + first * problem.row_bytes());
    call(dot, rows, first, std::min(rows_per_call, problem.rows - first), results.data() + first);
  }
  return std::vector<double>(results.begin(), results.end());
}

std::vector<double> FloatProducts(const Kernels& set, const Problem& problem, size_t rows_per_call) {
  const GuardedBuffer hidden(problem.hidden);
  const auto packed = Aligned<float>(kernels::PackedHiddenSize(problem.tokens, problem.cols));
  set.floats->pack(hidden.data(), problem.tokens, problem.cols, packed.get());
  const auto call = [&](auto* dot, const auto* rows, size_t, size_t count, float* logits) {
    dot(rows, count, problem.cols, packed.get(), problem.tokens, logits, problem.rows);
  };
  if (problem.format == Format::kF32) return Products<float>(set.floats->f32, problem, rows_per_call, call);
  if (problem.format == Format::kF16) return Products<float>(set.floats->f16, problem, rows_per_call, call);
  return Products<float>(set.floats->bf16, problem, rows_per_call, call);
}

std::vector<double> IntProducts(const Kernels& set, const Problem& problem, size_t rows_per_call) {
  const GuardedBuffer activations(problem.activations);
  const auto packed = Aligned<uint8_t>(kernels::PackedActivationsSize(problem.tokens, problem.cols));
  const kernels::ActivationsView view = {packed.get(), problem.totals.data(), problem.tokens};
  if (InBlocks(problem.format)) {
    const GuardedBuffer scales(problem.scales);
    const GuardedBuffer zero_points(problem.zero_points);
    const GuardedBuffer half_scales(problem.half_scales);
    const bool half = !problem.half_scales.empty();
    const kernels::BlocksView blocks = {half ? nullptr : scales.data(), half ? half_scales.data() : nullptr,
                                        HasZeroPoints(problem.format) ? zero_points.data() : nullptr};
    const auto pack = IsNibbles(problem.format) ? set.blocks->pack_for_nibbles : set.blocks->pack_for_bytes;
    pack(activations.data(), problem.tokens, problem.cols, packed.get());
    const auto call = [&](auto* dot, const auto* rows, size_t first, size_t count, float* sums) {
      dot(rows, blocks.From(first * kernels::BlocksOf(problem.cols)), count, problem.cols, view, sums, problem.rows);
    };
    if (IsNibbles(problem.format)) return Products<float>(set.blocks->i4, problem, rows_per_call, call);
    if (IsSigned(problem.format)) return Products<float>(set.blocks->i8, problem, rows_per_call, call);
    return Products<float>(set.blocks->u8, problem, rows_per_call, call);
  }
  set.bytes->pack(activations.data(), problem.tokens, problem.cols, packed.get());
  const auto call = [&](auto* dot, const auto* rows, size_t, size_t count, double* sums) {
    dot(rows, count, problem.cols, view, sums, problem.rows);
  };
  if (problem.format == Format::kI8) return Products<double>(set.bytes->i8, problem, rows_per_call, call);
  return Products<double>(set.bytes->u8, problem, rows_per_call, call);
}

std::vector<double> Dot(const Kernels& set, const Problem& problem, size_t rows_per_call) {
  return (IsFloat(problem.format) ? FloatProducts : IntProducts)(set, problem, rows_per_call);
}

using Shape = std::tuple<const Kernels*, Format, Numbers, size_t, size_t, size_t>;

class Dots : public testing::TestWithParam<Shape> {};

TEST_P(Dots, HaveTheBitsOfTheScalarDefinition) {
  const auto [set, format, numbers, rows, cols, tokens] = GetParam();
  const Problem problem = MakeProblem(format, numbers, rows, cols, tokens);
  const std::vector<double> expected = Dot(Scalar(), problem, rows);
  for (const size_t rows_per_call : {rows, size_t{1}, size_t{5}}) {
    EXPECT_EQ(FirstDifference(expected, Dot(*set, problem, rows_per_call)), -1) << rows_per_call << " rows per call";
  }
}

std::string Name(const testing::TestParamInfo<Shape>& info) {
  const auto& [set, format, numbers, rows, cols, tokens] = info.param;
  return std::string(set->isa) + "_" + testing::PrintToString(format) + "_" + testing::PrintToString(numbers) + "_" +
         std::to_string(rows) + "x" + std::to_string(cols) + "_" + std::to_string(tokens) + "tokens";
}

// Columns around the vector width and around the overflow of 32-bit sums; rows and tokens around the tile sizes.
INSTANTIATE_TEST_SUITE_P(Columns, Dots,
                         testing::Combine(testing::ValuesIn(VectorSets()), testing::ValuesIn(AllFormats()),
                                          testing::Values(Numbers::kNormal, Numbers::kSpecial), testing::Values(7u),
                                          testing::Values(1u, 3u, 7u, 8u, 9u, 31u, 33u, 63u, 64u, 257u, 1021u, 1024u,
                                                          5000u),
                                          testing::Values(1u, 4u)),
                         Name);
INSTANTIATE_TEST_SUITE_P(RowsAndTokens, Dots,
                         testing::Combine(testing::ValuesIn(VectorSets()), testing::ValuesIn(AllFormats()),
                                          testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes,
                                                          Numbers::kSubnormal),
                                          testing::Values(1u, 2u, 3u, 4u, 5u, 13u), testing::Values(41u),
                                          testing::Values(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 13u, 16u, 64u)),
                         Name);
// More columns than sums of byte products in 32 bits can hold.
INSTANTIATE_TEST_SUITE_P(LongRows, Dots,
                         testing::Combine(testing::ValuesIn(VectorSets()), testing::Values(Format::kI8, Format::kU8),
                                          testing::Values(Numbers::kSpecial), testing::Values(5u),
                                          testing::Values(70000u, 270000u), testing::Values(1u, 2u)),
                         Name);

float Weight(const Problem& problem, size_t row, size_t col) {
  const uint8_t* bytes = &problem.table[row * problem.row_bytes()];
  uint16_t bits = 0;
  if (problem.row_bytes() == 2 * problem.cols) std::memcpy(&bits, bytes + 2 * col, sizeof bits);
  switch (problem.format) {
    case Format::kF32:
      float value;
      std::memcpy(&value, bytes + 4 * col, sizeof value);
      return value;
    case Format::kF16:
      return kernels::Widen(kernels::Half{bits});
    case Format::kBF16:
      return kernels::Widen(kernels::BFloat16{bits});
    default:
      break;
  }
  const size_t block = row * kernels::BlocksOf(problem.cols) + col / 32;
  const int nibble = bytes[col / 2] >> (col % 2 * 4) & 15;
  const bool is_signed = IsSigned(problem.format), nibbles = IsNibbles(problem.format);
  const uint8_t byte = bytes[nibbles ? col / 2 : col], zero = problem.zero_points[block];
  float integer = static_cast<float>(nibbles ? nibble : is_signed ? static_cast<int8_t>(byte) : byte);
  if (HasZeroPoints(problem.format)) {
    integer -=
        nibbles ? static_cast<float>(zero) / 16 : static_cast<float>(is_signed ? static_cast<int8_t>(zero) : zero);
  } else if (nibbles) {
    integer -= 8;
  }
  return integer * (InBlocks(problem.format) ? problem.scales[block] : 1);
}

class ScalarDot : public testing::TestWithParam<std::tuple<Format, Numbers, size_t>> {};

// Rounding errors of floats: FloatRoundings(). A lane of blocks rounds cols / 32 times and once per sum of integers,
// the sum of the lanes three times, and this test rounds the weight. A subnormal result adds half of the smallest
// number. Bytes without blocks are exact.
TEST_P(ScalarDot, IsWithinTheErrorBoundOfTheExactDot) {
  const auto [format, numbers, cols] = GetParam();
  const Problem problem = MakeProblem(format, numbers, 11, cols, 3);
  const std::vector<double> products = Dot(Scalar(), problem, problem.rows);
  const size_t roundings = InBlocks(format) ? kernels::BlocksOf(cols) + 5 : kernels::FloatRoundings(cols);
  const std::vector<float> x =
      IsFloat(format) ? problem.hidden : std::vector<float>(problem.activations.begin(), problem.activations.end());
  std::vector<float> row(cols);
  for (size_t t = 0; t < problem.tokens; ++t) {
    for (size_t r = 0; r < problem.rows; ++r) {
      for (size_t k = 0; k < cols; ++k) row[k] = Weight(problem, r, k);
      const DoubleDot exact = ExactDot(row.data(), &x[t * cols], cols);
      // Zero points are subtracted from the sums: each of the two may be larger than their difference.
      double offsets = 0;
      for (size_t k = 0; InBlocks(format) && k < cols; ++k) {
        const double scale = problem.scales[r * kernels::BlocksOf(cols) + k / 32];
        offsets += (IsNibbles(format) ? 16 : 256) * std::fabs(scale * x[t * cols + k]);
      }
      const bool exact_sums = format == Format::kI8 || format == Format::kU8;
      const double bound =
          exact_sums ? 0 : Gamma(roundings) * (exact.magnitude + offsets) + static_cast<double>(cols + 3) * 0x1p-150;
      EXPECT_LE(std::fabs(products[t * problem.rows + r] - exact.value), bound);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ScalarDot,
                         testing::Combine(testing::ValuesIn(AllFormats()),
                                          testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes,
                                                          Numbers::kSubnormal),
                                          testing::Values(1u, 8u, 41u, 1024u)));

TEST(ScalarDot, SumsInTheOrderThatItsHeaderComments) {
  // 1e8 + 1 - 1e8 depends on the order: elements 32 apart share a lane, and lanes far apart are added before
  // nearer ones.
  using Elements = std::vector<std::pair<size_t, float>>;
  const auto sum = [](const Elements& elements) {
    Problem problem = MakeProblem(Format::kF32, Numbers::kNormal, 1, 33, 1);
    std::vector<float> row(33);
    for (const auto& [k, value] : elements) row[k] = value;
    std::memcpy(problem.table.data(), row.data(), problem.table.size());
    problem.hidden.assign(row.size(), 1.0f);
    return Dot(Scalar(), problem, 1)[0];
  };
  EXPECT_EQ(sum({{0, 1e8f}, {32, -1e8f}, {16, 1.0f}}), 1.0);
  EXPECT_EQ(sum({{0, 1e8f}, {16, -1e8f}, {32, 1.0f}}), 0.0);
  for (const size_t half : {8u, 4u, 2u, 1u}) {
    EXPECT_EQ(sum({{0, 1e8f}, {2 * half, -1e8f}, {half, 1.0f}}), 1.0) << half;
    EXPECT_EQ(sum({{0, 1e8f}, {half, -1e8f}, {2 * half, 1.0f}}), 0.0) << half;
  }
}

}  // namespace
}  // namespace tied::test
