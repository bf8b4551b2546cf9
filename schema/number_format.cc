#include "schema/number_format.h"

namespace tied::format {

namespace {

constexpr NumberFormat kFormats[] = {
    // type, name, bits, in tensors, in tables, quantised, always in blocks, default zero point, its steps
    {DataType::Float32, "float32", 32, true, true, false, false, 0, 1},
    {DataType::Float16, "float16", 16, false, true, false, false, 0, 1},
    {DataType::BFloat16, "bfloat16", 16, false, true, false, false, 0, 1},
    {DataType::Int8, "int8", 8, false, true, true, false, 0, 1},
    {DataType::Uint8, "uint8", 8, false, true, true, false, 0, 1},
    {DataType::Int4, "int4", 4, false, true, true, true, 8, 16},
    {DataType::Int32, "int32", 32, true, false, false, false, 0, 1},
    {DataType::Int64, "int64", 64, true, false, false, false, 0, 1},
    {DataType::Bool, "bool", 8, true, false, false, false, 0, 1},
};

}  // namespace

const NumberFormat* FindFormat(DataType type) {
  for (const NumberFormat& format : kFormats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

const char* NameOf(DataType type) {
  const NumberFormat* format = FindFormat(type);
  return format == nullptr ? "unknown type" : format->name;
}

size_t ElementSize(DataType type) {
  const NumberFormat* format = FindFormat(type);
  return format == nullptr || !format->in_tensors ? 0 : format->element_bits / 8u;
}

uint64_t RowBytes(DataType type, uint64_t cols) {
  const NumberFormat* format = FindFormat(type);
  if (format == nullptr || !format->in_tables) return 0;
  const uint64_t stored = format->always_in_blocks ? BlocksOf(cols) * kBlockCols : cols;
  return stored * format->element_bits / 8;
}

uint64_t StoredRowBytes(const TiedTable& table) {
  const NumberFormat* format = FindFormat(table.type());
  const bool nested = format != nullptr && format->is_quantised && table.screen() != nullptr;
  return RowBytes(nested ? DataType::Int4 : table.type(), table.cols());
}

uint64_t ScaleCount(ScaleOf scale_of, uint64_t rows, uint64_t cols) {
  switch (scale_of) {
    case ScaleOf::kTable:
      return 1;
    case ScaleOf::kRow:
      return rows;
    default:
      return rows * BlocksOf(cols);
  }
}

// If the count is ambiguous, the first of these wins.
ScaleOf ScaleOfCount(DataType type, DataType scale_type, uint64_t scales, uint64_t rows, uint64_t cols) {
  const NumberFormat* format = FindFormat(type);
  if (scale_type == DataType::Float16 || (format != nullptr && format->always_in_blocks)) return ScaleOf::kBlock;
  for (const ScaleOf scale_of : {ScaleOf::kTable, ScaleOf::kRow}) {
    if (scales == ScaleCount(scale_of, rows, cols)) return scale_of;
  }
  return ScaleOf::kBlock;
}

ScaleOf ScaleOfTable(const TiedTable& table) {
  const uint64_t scales = table.scales()->length() / ScaleSize(table.scale_type());
  return ScaleOfCount(table.type(), table.scale_type(), scales, table.rows(), table.cols());
}

}  // namespace tied::format
