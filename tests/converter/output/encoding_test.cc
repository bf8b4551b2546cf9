// Number formats and screens, row by row, and as options of tied-convert.
#include "converter/output/encoding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "base/error.h"
#include "kernels/float_formats.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using converter::EncodedRows;
using converter::TableEncoding;
using format::DataType;

struct Encoded {
  EncodedRows rows;
  std::vector<float> decoded;
};

Encoded Encode(const TableEncoding& encoding, const std::vector<float>& values, size_t cols) {
  Encoded encoded;
  std::vector<float> decoded;
  const float* meant = converter::EncodeRows(
      encoding, {0, values.size() / cols, values.data(), nullptr, nullptr, nullptr}, cols, &encoded.rows, &decoded);
  encoded.decoded.assign(meant, meant + values.size());
  return encoded;
}

// The finite numbers of a 16-bit type, in their order, from -largest to largest.
template <class Narrow>
std::vector<float> AllNumbers() {
  std::vector<float> numbers;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = kernels::Widen(Narrow{static_cast<uint16_t>(bits)});
    if (std::isfinite(value)) numbers.push_back(value);
  }
  return numbers;
}

template <class Narrow>
void ExpectNearest(DataType type) {
  std::vector<float> numbers = AllNumbers<Narrow>();
  // Each number, and numbers just below, at and just above the midpoint to the next.
  std::vector<float> values = numbers;
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 0; i + 1 < numbers.size(); ++i) {
    const float half = static_cast<float>((static_cast<double>(numbers[i]) + static_cast<double>(numbers[i + 1])) / 2);
    values.insert(values.end(), {std::nextafter(half, -INFINITY), half, std::nextafter(half, INFINITY)});
  }
  const Encoded encoded = Encode({type}, values, 1);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, &encoded.rows.values[2 * i], sizeof bits);
    ASSERT_EQ(kernels::Widen(Narrow{bits}), encoded.decoded[i]);
    const auto above = std::lower_bound(numbers.begin(), numbers.end(), values[i]);
    ASSERT_NE(above, numbers.end());
    const double up = static_cast<double>(*above) - static_cast<double>(values[i]);
    const double down =
        above == numbers.begin() ? INFINITY : static_cast<double>(values[i]) - static_cast<double>(above[-1]);
    const double error = std::fabs(static_cast<double>(encoded.decoded[i]) - static_cast<double>(values[i]));
    ASSERT_EQ(error, std::min(up, down)) << values[i];
    ASSERT_TRUE(up != down || bits % 2 == 0) << "tie " << values[i];
  }
}

TEST(Encoding, Float16IsTheNearestWithTiesToEven) { ExpectNearest<kernels::Half>(DataType::Float16); }
TEST(Encoding, BFloat16IsTheNearestWithTiesToEven) { ExpectNearest<kernels::BFloat16>(DataType::BFloat16); }

class IntegerEncoding : public testing::TestWithParam<std::tuple<DataType, size_t, Numbers>> {};

// The bound is half a step of each weight's scale.
TEST_P(IntegerEncoding, IsWithinHalfAStep) {
  const auto [type, cols, numbers] = GetParam();
  std::vector<float> values = MakeNumbers(numbers, 20 * cols, cols);
  std::fill_n(values.begin(), cols, 0.0f);
  const Encoded encoded = Encode({type}, values, cols);
  ASSERT_EQ(encoded.rows.scales.size(), 20u);
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = encoded.rows.scales[i / cols];
    ASSERT_GT(scale, 0.0f);
    ASSERT_LE(std::fabs(encoded.decoded[i] - values[i]), scale * 0.5001f);
  }
}

class Screens : public testing::TestWithParam<std::tuple<DataType, size_t, Numbers>> {};

// Each norm is the smallest float32 that is not below the exact norm, except for rounding.
TEST_P(Screens, KnowWhatTheyLack) {
  const auto [type, cols, numbers] = GetParam();
  TableEncoding encoding{type, true};
  for (uint32_t k = 0; cols == 100 && k < 16; ++k) encoding.screen_columns.push_back(6 * k);
  const bool quantised = type == DataType::Int8;
  const std::vector<float> values = MakeNumbers(numbers, 20 * cols, cols);
  const Encoded encoded = Encode(encoding, values, cols);
  const EncodedRows& rows = encoded.rows;
  const size_t row_bytes = (cols + 31) / 32 * 16;
  const auto nibble = [&](const std::vector<char>& plane, size_t r, size_t k) {
    return static_cast<unsigned char>(plane[r * row_bytes + k / 2]) >> (k % 2 * 4) & 15;
  };
  const auto expect_norm = [](double stored, double squares) {
    ASSERT_GE(stored, std::sqrt(squares));
    ASSERT_LE(stored, std::sqrt(squares) * (1 + 1e-6) + 1e-44);
  };
  for (size_t r = 0; r < 20; ++r) {
    const double scale = static_cast<double>(quantised ? rows.scales[r] : rows.screen_scales[r]);
    double upper_squares = 0, squares = 0;
    for (size_t k = 0, column = 0; k < cols; ++k) {
      const double middle = 16 * nibble(quantised ? rows.values : rows.upper, r, k) + 7.5 - 128;
      const double full = middle + nibble(rows.lower, r, k) - 7.5;
      const double value = quantised ? scale * full : static_cast<double>(encoded.decoded[r * cols + k]);
      if (column < encoding.screen_columns.size() && encoding.screen_columns[column] == k) {
        const double step = static_cast<double>(rows.column_scales[r]);
        const double left = value - scale * middle - step * rows.column_values[r * 16 + column++];
        ASSERT_LE(std::fabs(left), step * 0.500001) << k;
      } else {
        upper_squares += std::pow(value - scale * middle, 2);
        squares += std::pow(value - scale * full, 2);
      }
    }
    expect_norm(static_cast<double>(rows.upper_norms[r]), upper_squares);
    if (!quantised) expect_norm(static_cast<double>(rows.norms[r]), squares);
  }
}

// Errors of calibrated columns, just beside the middle of two steps, where float32 has only the middle.
TEST(ScreenColumns, AreRoundedToTheNearestStep) {
  constexpr size_t kCols = 64, kRows = 20, kColumns = 16;
  TableEncoding encoding{DataType::Float32, true};
  for (uint32_t k = 0; k < kColumns; ++k) encoding.screen_columns.push_back(k);
  std::vector<float> values(kRows * kCols);
  for (size_t r = 0; r < kRows; ++r) {
    const double step = 1.0 + 0.01 * static_cast<double>(r);
    for (size_t k = 0; k < kColumns; ++k) {
      const double steps = k == 0 ? 127 : 64.5 + 4 * static_cast<double>(k) - 4 + 0x1p-19;
      values[r * kCols + k] = static_cast<float>(step * steps);
    }
  }
  const EncodedRows rows = Encode(encoding, values, kCols).rows;
  for (size_t i = 0; i < kRows * kColumns; ++i) {
    const size_t r = i / kColumns, k = i % kColumns;
    const double level = 16.0 * (static_cast<unsigned char>(rows.upper[r * kCols / 2 + k / 2]) >> (k % 2 * 4) & 15);
    const double error =
        static_cast<double>(values[r * kCols + k]) - static_cast<double>(rows.screen_scales[r]) * (level + 7.5 - 128);
    const double steps = error / static_cast<double>(rows.column_scales[r]);
    ASSERT_LE(std::fabs(steps - rows.column_values[i]), 0.5 * (1 + 0x1p-20)) << r << " " << k;
  }
}

class HugeRows : public testing::TestWithParam<DataType> {};

// A norm beyond float32 bounds nothing, and verifying the file would fail.
TEST_P(HugeRows, AreRefused) {
  constexpr size_t kCols = 8192;
  std::vector<float> values = MakeNumbers(Numbers::kNormal, 2 * kCols, 1);
  for (size_t k = 0; k < kCols; ++k) values[kCols + k] *= 0x1p125f;
  ASSERT_TRUE(std::isfinite(*std::max_element(values.begin(), values.end())));
  try {
    Encode({GetParam(), true}, values, kCols);
    FAIL() << "was encoded";
  } catch (const converter::RowError& error) {
    EXPECT_EQ(error.row(), 1u);
    EXPECT_NE(error.why().find("beyond float32"), std::string::npos) << error.why();
  }
}
INSTANTIATE_TEST_SUITE_P(All, HugeRows, testing::Values(DataType::Float32, DataType::BFloat16, DataType::Int8));

INSTANTIATE_TEST_SUITE_P(All, Screens,
                         testing::Combine(testing::Values(DataType::Float32, DataType::BFloat16, DataType::Int8),
                                          testing::Values(1u, 31u, 100u),
                                          testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes,
                                                          Numbers::kSubnormal)));

INSTANTIATE_TEST_SUITE_P(All, IntegerEncoding,
                         testing::Combine(testing::Values(DataType::Int8), testing::Values(1u, 31u, 32u, 100u),
                                          testing::Values(Numbers::kNormal, Numbers::kMixedMagnitudes,
                                                          Numbers::kSubnormal)));

// A table in blocks as models store it.
struct Blocks {
  converter::ElementType type;
  int bits;
  size_t block;
  bool zero_points;
};
std::ostream& operator<<(std::ostream& out, const Blocks& blocks) {
  return out << "type " << static_cast<int>(blocks.type) << ", " << blocks.bits << " bits in blocks of " << blocks.block
             << (blocks.zero_points ? " with zero points" : "");
}

class KeptBlocks : public testing::TestWithParam<Blocks> {
 protected:
  // An odd number of blocks of 32; the last block of 64 is half full.
  static constexpr size_t kRows = 21, kCols = 96;

  static converter::TensorRef Tensor(converter::ElementType type, std::vector<int64_t> dims, std::string bytes) {
    converter::TensorRef tensor;
    tensor.name = "table";
    tensor.type = type;
    tensor.dims = std::move(dims);
    tensor.SetBytes(std::move(bytes));
    return tensor;
  }

  static std::string RandomBytes(size_t count) {
    std::string bytes;
    uint32_t state = 1;
    for (size_t i = 0; i < count; ++i) bytes += static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
    return bytes;
  }

  static converter::TableSource MakeTable(const Blocks& form) {
    const size_t blocks = (kCols + form.block - 1) / form.block;
    const size_t bits = static_cast<size_t>(form.bits);
    std::vector<float> scales = MakeNumbers(Numbers::kNormal, kRows * blocks, 1);
    for (float& scale : scales) scale += std::copysign(0.1f, scale);
    converter::Quantisation quantisation;
    quantisation.bits = form.bits;
    quantisation.block = static_cast<int64_t>(form.block);
    quantisation.row_bytes = kCols * bits / 8;
    quantisation.scales = Tensor(converter::ElementType::kFloat32, {static_cast<int64_t>(kRows * blocks)},
                                 {reinterpret_cast<const char*>(scales.data()), scales.size() * sizeof(float)});
    const bool fills_bytes = form.type == converter::ElementType::kUint8 && form.bits == 4;
    quantisation.zero_points_per_row = fills_bytes ? blocks + blocks % 2 : blocks;
    const size_t zero_bytes = (kRows * quantisation.zero_points_per_row * bits + 7) / 8;
    if (form.zero_points) quantisation.zero_points = Tensor(form.type, {}, RandomBytes(zero_bytes));
    quantisation.default_zero_point = fills_bytes ? 8 : 0;
    converter::TableSource table{Tensor(form.type, {kRows, kCols}, RandomBytes(kRows * kCols * bits / 8)), false};
    table.tensor.quantisation = std::make_shared<const converter::Quantisation>(quantisation);
    table.CheckQuantisation("table");
    return table;
  }
};

// Decoding the file by FORMAT.md gives the model's bits, for any split into blocks of rows.
TEST_P(KeptBlocks, MeanTheSame) {
  const converter::TableSource table = MakeTable(GetParam());
  const TableEncoding encoding = converter::EncodingOf(table);
  const bool nibbles = encoding.type == DataType::Int4;
  table.ForEachBlock([&](const converter::RowBlock& rows) {
    EncodedRows encoded;
    EXPECT_EQ(converter::CopyRows(encoding, table, rows, &encoded), rows.values);
    EXPECT_EQ(encoded.values.size(), kRows * kCols / (nibbles ? 2 : 1));
    EXPECT_EQ(encoded.scales.size(), kRows * 3);
    for (size_t i = 0; i < kRows * kCols; ++i) {
      const auto byte = [&](const std::vector<char>& bytes, size_t at) {
        return encoding.type == DataType::Int8 ? static_cast<int8_t>(bytes[at]) : static_cast<uint8_t>(bytes[at]);
      };
      const int integer = nibbles ? byte(encoded.values, i / 2) >> (i % 2 * 4) & 15 : byte(encoded.values, i);
      const size_t scale = i / 32;
      const int stored = encoding.zero_points ? byte(encoded.zero_points, scale) : nibbles ? 8 * 16 : 0;
      const int zero = nibbles ? stored / 16 : stored;
      EXPECT_EQ(nibbles ? stored % 16 : 0, 0);
      EXPECT_EQ(static_cast<float>(integer - zero) * encoded.scales[scale], rows.values[i]) << i;
    }
    return true;
  });
}

std::vector<Blocks> AllBlocks() {
  using converter::ElementType;
  std::vector<Blocks> all;
  for (const auto& [type, bits] :
       {std::pair{ElementType::kUint8, 8}, std::pair{ElementType::kInt8, 8}, std::pair{ElementType::kUint8, 4},
        std::pair{ElementType::kUint4, 4}, std::pair{ElementType::kInt4, 4}}) {
    for (const size_t block : {32u, 64u}) {
      for (const bool zero_points : {false, true}) all.push_back({type, bits, block, zero_points});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, KeptBlocks, testing::ValuesIn(AllBlocks()));

TEST(Encoding, NumbersThatTheFormatDoesNotHaveAreRefusedWithTheirRow) {
  const float infinity = std::numeric_limits<float>::infinity();
  const struct {
    TableEncoding encoding;
    float bad;
  } cases[] = {{{DataType::Float16}, 65520.0f},
               {{DataType::BFloat16}, 3.4e38f},
               {{DataType::Int8}, infinity},
               {{DataType::Int8}, std::nanf("")},
               {{DataType::Float32, true}, infinity}};
  for (const auto& c : cases) {
    std::vector<float> values(5 * 4, 1.0f);
    values[3 * 4 + 2] = c.bad;
    try {
      Encode(c.encoding, values, 4);
      ADD_FAILURE() << format::EnumNameDataType(c.encoding.type) << " took " << c.bad;
    } catch (const converter::ConvertError& error) {
      EXPECT_NE(std::string(error.what()).find("row 3"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace tied::test
