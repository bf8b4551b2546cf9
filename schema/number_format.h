// The number formats: one row for each element type with all facts about it.
#ifndef TIED_SCHEMA_NUMBER_FORMAT_H_
#define TIED_SCHEMA_NUMBER_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "schema/limits.h"
#include "tied_generated.h"

namespace tied::format {

// Columns that share a scale in a table in blocks.
inline constexpr size_t kBlockCols = 32;

// For products with integers, hidden states are rounded to multiples of 1 / 32512 of their largest element.
inline constexpr int kLargestQuantisedHidden = 32512;

// The part of a quantised table that shares a scale.
enum class ScaleOf : uint8_t { kTable, kRow, kBlock };

struct NumberFormat {
  DataType type;
  const char* name;
  uint8_t element_bits;
  bool in_tensors;             // inputs and outputs may have it
  bool in_tables;              // tables may have it
  bool is_quantised;           // tables of it have scales and may have zero points
  bool always_in_blocks;       // one scale per block, and rows of whole blocks
  uint8_t default_zero_point;  // of tables without zero points
  uint8_t zero_point_steps;    // a byte in the file is this many times the zero point
};

// Null for an unknown type.
const NumberFormat* FindFormat(DataType type);

// The name of the type, or "unknown type".
const char* NameOf(DataType type);

// Bytes per element of an input or output; 0 for a type that they cannot have.
size_t ElementSize(DataType type);

inline uint64_t BlocksOf(uint64_t cols) { return (cols + kBlockCols - 1) / kBlockCols; }

// Bytes per row of a table; 0 for a type that tables cannot have.
uint64_t RowBytes(DataType type, uint64_t cols);

// Bytes per row of the plane `values`: the upper nibbles only if a quantised table has a screen.
uint64_t StoredRowBytes(const TiedTable& table);

// Number of scales of a quantised table.
uint64_t ScaleCount(ScaleOf scale_of, uint64_t rows, uint64_t cols);

// Bytes of a scale.
inline size_t ScaleSize(DataType scale_type) { return scale_type == DataType::Float16 ? 2 : 4; }

// Derives the part that shares a scale from the number of scales; kBlock if the number matches none. Scales in float16
// are always of blocks.
ScaleOf ScaleOfCount(DataType type, DataType scale_type, uint64_t scales, uint64_t rows, uint64_t cols);

// The same for a quantised table.
ScaleOf ScaleOfTable(const TiedTable& table);

}  // namespace tied::format

#endif  // TIED_SCHEMA_NUMBER_FORMAT_H_
