// Distinguishes two roundings of one matrix from two different matrices, for all formats.
#include "converter/graph/table_difference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#include "schema/narrow_floats.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using converter::BFloatOf;
using converter::CompareTables;
using converter::ElementType;
using converter::HalfOf;
using converter::Quantisation;
using converter::TableDifference;
using converter::TableSource;
using converter::TensorRef;

constexpr size_t kRows = 21;
constexpr size_t kCols = 64;
using Matrix = std::vector<float>;  // [kRows, kCols]

void NoProgress(uint64_t, uint64_t) {}

template <class T>
TensorRef Tensor(const std::vector<T>& values, ElementType type, std::vector<int64_t> dims) {
  TensorRef tensor;
  tensor.name = "table";
  tensor.type = type;
  tensor.dims = std::move(dims);
  tensor.SetBytes({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
  return tensor;
}

const std::vector<int64_t> kDims = {kRows, kCols};

TableSource Float32(const Matrix& matrix) { return {Tensor(matrix, ElementType::kFloat32, kDims)}; }

TableSource Float16(const Matrix& matrix) {
  std::vector<uint16_t> halves(matrix.size());
  std::transform(matrix.begin(), matrix.end(), halves.begin(), HalfOf);
  return {Tensor(halves, ElementType::kFloat16, kDims)};
}

TableSource BFloat16(const Matrix& matrix) {
  std::vector<uint16_t> halves(matrix.size());
  std::transform(matrix.begin(), matrix.end(), halves.begin(), BFloatOf);
  return {Tensor(halves, ElementType::kBFloat16, kDims)};
}

TableSource Transposed(const Matrix& matrix) {
  Matrix transposed(matrix.size());
  for (size_t i = 0; i < matrix.size(); ++i) transposed[i % kCols * kRows + i / kCols] = matrix[i];
  TableSource table = {Tensor(transposed, ElementType::kFloat32, {kCols, kRows})};
  table.transposed = true;
  return table;
}

struct Scheme {
  int bits;
  size_t block;     // elements that share a scale: of the matrix, or 0 for the whole of it
  bool symmetric;   // the element of the largest magnitude becomes the lowest integer, as ONNX Runtime's int4 has it
  int integers;     // how many there are: 128 with reduce_range
  bool half_scale;  // stored as float16 behind the rounding
};

// Quantises to unsigned integers, as MatMulNBits and quantize_dynamic do.
TableSource Quantised(const Matrix& matrix, const Scheme& scheme) {
  const size_t block = scheme.block == 0 ? matrix.size() : scheme.block;
  std::vector<uint8_t> integers(matrix.size()), zero_points;
  std::vector<float> scales;
  for (size_t first = 0; first < matrix.size(); first += block) {
    const float* begin = &matrix[first];
    const float lowest = std::min(0.0f, *std::min_element(begin, begin + block));
    const float highest = std::max(0.0f, *std::max_element(begin, begin + block));
    const int last = scheme.integers - 1, middle = scheme.integers / 2;
    float scale = (highest - lowest) / static_cast<float>(last);
    if (scheme.symmetric) scale = (highest > -lowest ? highest : lowest) / static_cast<float>(-middle);
    const int zero = scheme.symmetric ? middle : static_cast<int>(std::nearbyint(-lowest / scale));
    for (size_t i = first; i < first + block; ++i) {
      const int integer = static_cast<int>(std::nearbyint(matrix[i] / scale)) + zero;
      integers[i] = static_cast<uint8_t>(std::clamp(integer, 0, last));
    }
    scales.push_back(scale);
    zero_points.push_back(static_cast<uint8_t>(zero));
  }
  auto quantisation = std::make_shared<Quantisation>();
  quantisation->bits = scheme.bits;
  quantisation->block = scheme.block == 0 || scheme.block == kCols ? 0 : static_cast<int64_t>(scheme.block);
  quantisation->row_bytes = kCols * static_cast<size_t>(scheme.bits) / 8;
  quantisation->zero_points_per_row = scheme.block == 0 ? 0 : kCols / scheme.block;
  const auto count = static_cast<int64_t>(scales.size());
  quantisation->scales = Tensor(scales, ElementType::kFloat32, {count});
  if (scheme.half_scale) {
    std::vector<uint16_t> halves(scales.size());
    std::transform(scales.begin(), scales.end(), halves.begin(), HalfOf);
    quantisation->scales = Tensor(halves, ElementType::kFloat16, {count});
  }
  const auto pack = [&](std::vector<uint8_t> bytes) {
    if (scheme.bits == 8) return bytes;
    for (size_t i = 0; i < bytes.size() / 2; ++i) {
      bytes[i] = static_cast<uint8_t>(bytes[2 * i] | bytes[2 * i + 1] << 4);
    }
    bytes.resize(bytes.size() / 2);
    return bytes;
  };
  quantisation->zero_points = Tensor(pack(zero_points), ElementType::kUint8, {count});
  TableSource table = {Tensor(pack(integers), ElementType::kUint8, kDims)};
  table.tensor.quantisation = quantisation;
  return table;
}

struct Format {
  const char* name;
  std::function<TableSource(const Matrix&)> make;
};
std::ostream& operator<<(std::ostream& out, const Format& format) { return out << format.name; }

Format Of(const char* name, const Scheme& scheme) {
  return {name, [scheme](const Matrix& matrix) { return Quantised(matrix, scheme); }};
}

const Format kFormats[] = {{"Float32", Float32},
                           {"Transposed", Transposed},
                           {"Float16", Float16},
                           {"BFloat16", BFloat16},
                           Of("Uint8", {8, 0, false, 256, false}),
                           Of("Uint7", {8, 0, false, 128, false}),
                           Of("Uint8Rows", {8, kCols, false, 256, false}),
                           Of("Uint8Blocks", {8, 32, false, 256, true}),
                           Of("Int4", {4, 32, true, 16, false}),
                           Of("Int4HalfScales", {4, 32, true, 16, true}),
                           Of("Uint4", {4, 32, false, 16, false})};

// In each block of 32, both ends of the range have the same magnitude, so that symmetric int4 clips one of them.
Matrix MakeMatrix() {
  Matrix matrix = MakeNumbers(Numbers::kNormal, kRows * kCols, 3);
  for (size_t i = 0; i < matrix.size(); ++i) {
    matrix[i] = i % 32 == 3 ? 4.0f : i % 32 == 17 ? -4.0f : std::clamp(matrix[i], -3.5f, 3.5f);
  }
  return matrix;
}

class Pairs : public testing::TestWithParam<std::tuple<Format, Format>> {};

TEST_P(Pairs, OfOneMatrixAreExplained) {
  const Matrix matrix = MakeMatrix();
  const TableSource a = std::get<0>(GetParam()).make(matrix), b = std::get<1>(GetParam()).make(matrix);
  const TableDifference difference = CompareTables(a, b, NoProgress);
  EXPECT_TRUE(difference.one_matrix()) << difference.Describe();
  EXPECT_EQ(difference.elements, matrix.size());
}

TEST_P(Pairs, OfAMatrixWithOneOtherElementAreNot) {
  const Matrix matrix = MakeMatrix();
  Matrix other = matrix;
  const size_t element = 5 * kCols + 40;
  other[element] = matrix[element] > 0 ? matrix[element] - 3.0f : matrix[element] + 3.0f;
  const TableSource a = std::get<0>(GetParam()).make(matrix), b = std::get<1>(GetParam()).make(other);
  const TableDifference difference = CompareTables(a, b, NoProgress);
  EXPECT_EQ(difference.unexplained, 1u) << difference.Describe();
  EXPECT_GT(difference.worst_share, 1);
  EXPECT_NE(difference.Describe().find("than rounding explains in 0.0744 % of their weights"), std::string::npos)
      << difference.Describe();
}

TEST_P(Pairs, AreMeasured) {
  const Matrix matrix = MakeMatrix();
  const TableSource a = std::get<0>(GetParam()).make(matrix), b = std::get<1>(GetParam()).make(matrix);
  Matrix rows[2];
  for (const auto& [table, values] : {std::pair(&a, &rows[0]), std::pair(&b, &rows[1])}) {
    table->ForEachBlock([&to = *values](const converter::RowBlock& block) {
      to.insert(to.end(), block.values, block.values + block.count * kCols);
      return true;
    });
  }
  double largest = 0, squares = 0, row_sum = 0, largest_row_sum = 0, error_a = 0;
  for (size_t i = 0; i < matrix.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(rows[0][i]) - rows[1][i]);
    largest = std::max(largest, difference);
    squares += difference * difference;
    row_sum = (i % kCols == 0 ? 0 : row_sum) + difference;
    largest_row_sum = std::max(largest_row_sum, row_sum);
    error_a += std::pow(static_cast<double>(rows[0][i]) - matrix[i], 2);
  }
  const TableDifference difference = CompareTables(a, b, NoProgress), swapped = CompareTables(b, a, NoProgress);
  EXPECT_DOUBLE_EQ(difference.largest, largest);
  EXPECT_NEAR(difference.rms, std::sqrt(squares / static_cast<double>(matrix.size())), 1e-9);
  EXPECT_NEAR(difference.largest_row_sum, largest_row_sum, 1e-9);
  EXPECT_EQ(swapped.rounding_a, difference.rounding_b);
  EXPECT_EQ(difference.Swapped().rounding_a, difference.rounding_b);
  // The expected rounding error is about the real one. This matrix is also clipped.
  const double error = std::sqrt(error_a / static_cast<double>(matrix.size()));
  EXPECT_LE(error, difference.rounding_a * 1.7);
  EXPECT_GE(error, difference.rounding_a * 0.4);
}

INSTANTIATE_TEST_SUITE_P(All, Pairs, testing::Combine(testing::ValuesIn(kFormats), testing::ValuesIn(kFormats)),
                         [](const auto& pair) {
                           return std::string(std::get<0>(pair.param).name) + std::get<1>(pair.param).name;
                         });

// Integers inside the range were not clipped: slightly more than half a step is a difference.
TEST(Saturation, ReachesOneStepFurtherAtTheEndsAlone) {
  Matrix matrix(kRows * kCols, 0.0f);
  matrix[0] = -8, matrix[1] = 7, matrix[2] = 6;
  for (size_t block = 1; block < kRows * kCols / 32; ++block) matrix[block * 32] = -8;
  const TableSource table = Quantised(matrix, {4, 32, true, 16, false});
  const std::pair<size_t, float> kExplained[] = {{1, 8.4f}, {1, 6.6f}, {0, -9.4f}, {2, 6.4f}, {3, -0.4f}};
  const std::pair<size_t, float> kForeign[] = {{1, 8.6f}, {1, 6.4f}, {0, -9.6f}, {2, 6.6f}, {3, -0.6f}};
  for (const auto& [element, value] : kExplained) {
    Matrix original = matrix;
    original[element] = value;
    EXPECT_TRUE(CompareTables(Float32(original), table, NoProgress).one_matrix()) << value;
  }
  for (const auto& [element, value] : kForeign) {
    Matrix original = matrix;
    original[element] = value;
    EXPECT_EQ(CompareTables(Float32(original), table, NoProgress).unexplained, 1u) << value;
  }
}

TEST(NotANumber, IsExplainedByNothing) {
  Matrix matrix = MakeMatrix();
  const TableSource sound = Float16(matrix);
  matrix[7] = NAN, matrix[8] = INFINITY;
  EXPECT_EQ(CompareTables(Float32(matrix), sound, NoProgress).unexplained, 2u);
}

}  // namespace
}  // namespace tied::test
