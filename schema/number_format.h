// The number formats: one row for each element type, which is all that is known of it.
#ifndef TIED_SCHEMA_NUMBER_FORMAT_H_
#define TIED_SCHEMA_NUMBER_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "tied_generated.h"

namespace tied::format {

// Columns that share a scale where a table is in blocks.
inline constexpr size_t kBlockCols = 32;

// Hidden states that meet integers are rounded to multiples of 1 / 32512 of their largest element.
inline constexpr int kLargestQuantisedHidden = 32512;

inline constexpr uint64_t kMaxTableRows = INT32_MAX;
inline constexpr uint64_t kMaxTableCols = uint64_t{1} << 30;  // sums of so many products of 8 and 16 bits are exact
inline constexpr uint32_t kMaxTopk = 1024;

// Most bytes of a constant output that one element stands for, without the dimensions of inputs.
inline constexpr uint64_t kMaxFilledBytes = 1u << 30;

// What has one scale of its own in a quantised table.
enum class ScaleOf : uint8_t { kTable, kRow, kBlock };

struct NumberFormat {
  DataType type;
  const char* name;
  uint8_t element_bits;
  bool in_tensors;             // inputs and outputs may have it
  bool in_tables;              // tables may have it
  bool is_quantised;           // tables of it have scales and may have zero points
  bool always_in_blocks;       // a scale for each block, and rows that are whole blocks
  uint8_t default_zero_point;  // of tables without zero points
  uint8_t largest_zero_point;  // as a byte of the file
};

// Null for a number that no type has.
const NumberFormat* FindFormat(DataType type);

// The name of the type, or "unknown type".
const char* NameOf(DataType type);

// Bytes of an element of an input or output; 0 for a type that none of them has.
size_t ElementSize(DataType type);

inline uint64_t BlocksOf(uint64_t cols) { return (cols + kBlockCols - 1) / kBlockCols; }

// Bytes of a row of a table; 0 for a type that no table has.
uint64_t RowBytes(DataType type, uint64_t cols);

// How many scales a quantised table has.
uint64_t ScaleCount(ScaleOf scale_of, uint64_t rows, uint64_t cols);

// What has one scale, by how many there are; kBlock where no number fits.
ScaleOf ScaleOfCount(DataType type, uint64_t scales, uint64_t rows, uint64_t cols);

}  // namespace tied::format

#endif  // TIED_SCHEMA_NUMBER_FORMAT_H_
