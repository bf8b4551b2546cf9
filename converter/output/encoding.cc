#include "converter/output/encoding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "converter/output/blocks.h"
#include "converter/output/rounding.h"
#include "converter/output/screen.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

using format::DataType;
using format::kBlockCols;
using format::ScaleOf;

[[noreturn]] void RefuseRow(uint64_t row, const std::string& why) { throw RowError(row, why); }

// Quantises a row to -127 … 127 and returns its scale.
float EncodeInt8Row(const float* row, size_t cols, uint64_t row_number, int8_t* quantised) {
  const float largest = LargestMagnitude(row, cols);
  if (std::isinf(largest)) RefuseRow(row_number, "is not finite, which int8 cannot hold");
  const float scale = largest == 0 ? 1.0f : std::max(largest / 127, kSmallestScale);
  for (size_t k = 0; k < cols; ++k) {
    // The clamp is needed because largest / (largest / 127) may round to slightly more than 127.
    quantised[k] = static_cast<int8_t>(Round(row[k] / scale, -127.0f, 127.0f));
  }
  return scale;
}

template <uint16_t (*narrow)(float), float (*widen)(uint16_t)>
void EncodeNarrow(const float* rows, size_t count, size_t cols, uint64_t first_row, EncodedRows* encoded,
                  std::vector<float>* decoded) {
  std::vector<uint16_t> narrowed(cols);
  for (size_t r = 0; r < count; ++r) {
    const float* row = rows + r * cols;
    float* meant = decoded->data() + r * cols;
    int32_t largest = 0;
    for (size_t k = 0; k < cols; ++k) {
      narrowed[k] = narrow(row[k]);
      meant[k] = widen(narrowed[k]);
      const auto magnitude = static_cast<int32_t>(BitsOf(meant[k]) & 0x7fffffff);
      largest = magnitude > largest ? magnitude : largest;
    }
    std::memcpy(&encoded->values[r * cols * sizeof(uint16_t)], narrowed.data(), cols * sizeof(uint16_t));
    const bool finite = largest < 0x7f800000;
    for (size_t k = 0; !finite && k < cols; ++k) {
      if (!std::isinf(meant[k]) || std::isinf(row[k])) continue;
      RefuseRow(first_row + r, "holds " + std::to_string(row[k]) + ", which is out of the type's range");
    }
  }
}

void EncodeInt8(const float* rows, size_t count, size_t cols, uint64_t first_row, EncodedRows* encoded,
                std::vector<float>* decoded) {
  auto* values = reinterpret_cast<int8_t*>(encoded->values.data());
  for (size_t r = 0; r < count; ++r) {
    const float scale = EncodeInt8Row(rows + r * cols, cols, first_row + r, values + r * cols);
    encoded->scales[r] = scale;
    for (size_t i = r * cols; i < (r + 1) * cols; ++i) (*decoded)[i] = static_cast<float>(values[i]) * scale;
  }
}

void Resize(const TableEncoding& encoding, size_t count, size_t cols, EncodedRows* encoded) {
  const EncodedSizes sizes = SizesOf(encoding, count, cols);
  // Bytes that a screen will split into nibbles are whole at first.
  encoded->values.resize(count * format::RowBytes(encoding.type, cols));
  encoded->scales.resize(encoding.half_scales ? 0 : sizes.scales / sizeof(float));
  encoded->half_scales.resize(encoding.half_scales ? sizes.scales / sizeof(uint16_t) : 0);
  encoded->zero_points.resize(sizes.zero_points);
  encoded->upper.resize(sizes.upper);
  encoded->lower.resize(sizes.lower);
  encoded->screen_scales.resize(sizes.screen_scales / sizeof(float));
  encoded->upper_norms.resize(sizes.upper_norms / sizeof(float));
  encoded->norms.resize(sizes.norms / sizeof(float));
  encoded->column_values.resize(sizes.column_values);
  encoded->column_scales.resize(sizes.column_scales / sizeof(float));
}

// The shift from -8 … 7, in two's complement, to 0 … 15.
int Int4Shift(ElementType type) { return type == ElementType::kInt4 ? 8 : 0; }

}  // namespace

EncodedSizes SizesOf(const TableEncoding& encoding, uint64_t rows, uint64_t cols) {
  EncodedSizes sizes = {};
  sizes.values = rows * format::RowBytes(encoding.type, cols);
  const format::NumberFormat& number_format = *format::FindFormat(encoding.type);
  const ScaleOf scale_of = number_format.always_in_blocks ? ScaleOf::kBlock : encoding.scale_of;
  const uint64_t scales = number_format.is_quantised ? format::ScaleCount(scale_of, rows, cols) : 0;
  sizes.scales = scales * format::ScaleSize(encoding.half_scales ? DataType::Float16 : DataType::Float32);
  if (encoding.zero_points) sizes.zero_points = scales;
  if (!encoding.screen) return sizes;
  const uint64_t floats = rows * sizeof(float);
  sizes.lower = rows * format::RowBytes(DataType::Int4, cols);
  sizes.upper_norms = floats;
  if (number_format.is_quantised) {
    sizes.values = sizes.lower;
  } else {
    sizes.upper = sizes.lower;
    sizes.screen_scales = sizes.norms = floats;
  }
  if (!encoding.screen_columns.empty()) {
    sizes.column_values = rows * format::kScreenColumns;
    sizes.column_scales = floats;
  }
  return sizes;
}

const float* EncodeRows(const TableEncoding& encoding, const RowBlock& block, size_t cols, EncodedRows* encoded,
                        std::vector<float>* decoded) {
  const uint64_t first_row = block.first;
  const size_t count = block.count;
  const float* rows = block.values;
  Resize(encoding, count, cols, encoded);
  const bool as_it_is = encoding.type == DataType::Float32;
  if (!as_it_is) decoded->resize(count * cols);
  switch (encoding.type) {
    case DataType::Float32:
      std::memcpy(encoded->values.data(), rows, encoded->values.size());
      break;
    case DataType::Float16:
      EncodeNarrow<HalfOf, FloatOfHalf>(rows, count, cols, first_row, encoded, decoded);
      break;
    case DataType::BFloat16:
      EncodeNarrow<BFloatOf, FloatOfBFloat>(rows, count, cols, first_row, encoded, decoded);
      break;
    case DataType::Int8:
      if (encoding.scale_of == ScaleOf::kBlock) {
        EncodeBlocks(encoding, block, cols, encoded, decoded);
      } else {
        EncodeInt8(rows, count, cols, first_row, encoded, decoded);
      }
      break;
    default:
      EncodeBlocks(encoding, block, cols, encoded, decoded);
  }
  const float* meant = as_it_is ? rows : decoded->data();
  if (encoding.screen) EncodeScreen(encoding, meant, block, cols, encoded);
  return meant;
}

TableEncoding EncodingOf(const TableSource& table) {
  const Quantisation& quantisation = *table.tensor.quantisation;
  const bool one_block = quantisation.block == 0 || quantisation.block >= static_cast<int64_t>(table.cols());
  if (quantisation.block % static_cast<int64_t>(kBlockCols) != 0 && !one_block) {
    throw ConvertError("table '" + table.tensor.name + "': blocks of " + std::to_string(quantisation.block) +
                       " columns are not a multiple of " + std::to_string(kBlockCols) +
                       "; choose a different format with --dtype");
  }
  TableEncoding encoding;
  encoding.copied = true;
  if (quantisation.bits == 4) {
    encoding.type = DataType::Int4;
  } else {
    encoding.type = table.tensor.type == ElementType::kInt8 ? DataType::Int8 : DataType::Uint8;
    encoding.scale_of = table.scales_per_row() == 0 ? ScaleOf::kTable : one_block ? ScaleOf::kRow : ScaleOf::kBlock;
  }
  const int without = format::FindFormat(encoding.type)->default_zero_point;
  encoding.zero_points =
      quantisation.zero_points.length > 0 || quantisation.default_zero_point + Int4Shift(table.tensor.type) != without;
  return encoding;
}

const float* CopyRows(const TableEncoding& encoding, const TableSource& table, const RowBlock& block,
                      EncodedRows* encoded) {
  const auto cols = static_cast<size_t>(table.cols());
  Resize(encoding, block.count, cols, encoded);
  const size_t row_bytes = encoded->values.size() / block.count;
  const size_t stored_bytes = table.stored_row_bytes();
  for (size_t r = 0; r < block.count; ++r) {
    std::memcpy(&encoded->values[r * row_bytes], block.stored + r * stored_bytes, std::min(row_bytes, stored_bytes));
  }
  const int shift = Int4Shift(table.tensor.type), steps = format::FindFormat(encoding.type)->zero_point_steps;
  if (shift != 0) {
    for (char& pair : encoded->values) pair = static_cast<char>(pair ^ 0x88);
  }
  // If the model's blocks are wider, several blocks of the file have the same scale.
  const auto block_cols = static_cast<size_t>(table.tensor.quantisation->block);
  const size_t scales = encoded->scales.size() / (encoding.scale_of == ScaleOf::kTable ? 1 : block.count);
  for (size_t i = 0; i < encoded->scales.size(); ++i) {
    const size_t in_row = block_cols == 0 ? 0 : i % scales * kBlockCols / block_cols;
    const size_t from = i / scales * table.scales_per_row() + in_row;
    encoded->scales[i] = block.scales[from];
    if (!std::isfinite(encoded->scales[i])) RefuseRow(block.first + i / scales, "has a scale that is not finite");
    if (!encoding.zero_points) continue;
    encoded->zero_points[i] = static_cast<char>((block.zero_points[from] + shift) * steps);
  }
  if (encoding.screen) EncodeScreen(encoding, block.values, block, cols, encoded);
  return block.values;
}

LosslessTypes FindLosslessTypes(const TableSource& table, const Progress& progress) {
  LosslessTypes lossless;
  std::vector<LosslessTypes> of_blocks(TableSource::Threads());
  const auto look = [&](size_t thread, const RowBlock& block) {
    const size_t count = block.count * static_cast<size_t>(table.cols());
    bool float16 = true;
    bool bfloat16 = true;
    for (size_t i = 0; i < count && (float16 || bfloat16); ++i) {
      const uint32_t bits = BitsOf(block.values[i]);
      float16 = float16 && BitsOf(FloatOfHalf(HalfOf(block.values[i]))) == bits;
      bfloat16 = bfloat16 && (bits & 0xffff) == 0;
    }
    of_blocks[thread] = {float16, bfloat16};
  };
  const auto combine = [&](size_t thread, const RowBlock&) {
    lossless.float16 = lossless.float16 && of_blocks[thread].float16;
    lossless.bfloat16 = lossless.bfloat16 && of_blocks[thread].bfloat16;
    return lossless.float16 || lossless.bfloat16;
  };
  table.ForEachBlockInThreads(of_blocks.size(), look, combine, progress);
  return lossless;
}

}  // namespace tied::converter
