// A table for the computations: pointers to its mapped planes.
#ifndef TIED_RUNTIME_FILE_TABLE_H_
#define TIED_RUNTIME_FILE_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/file/id_map.h"
#include "tied/tied.h"

namespace tied::runtime {

// Columns of a calibrated screen.
inline constexpr size_t kScreenColumns = 16;

// An approximation of each row by q = 16 * upper + lower - 128, times a scale, and bounds on its errors (tied.fbs). For
// an int8 or uint8 table it is exact, and the table itself.
struct ScreenView {
  const unsigned char* upper;  // nibbles, [rows, row_bytes]; null: the table has no screen
  const unsigned char* lower;
  size_t row_bytes;
  const float* scales;       // [rows]; null: those of the table
  const float* upper_norms;  // [rows]
  const float* norms;        // [rows]; null: both planes are exact
  // Calibrated columns, or null.
  const uint32_t* columns;      // [kScreenColumns]
  const int8_t* column_values;  // [rows, kScreenColumns]
  const float* column_scales;   // [rows]
};

struct TableView;

// The file of a table, for reading single rows without mapping their pages: a page fault maps 64 KiB around a row,
// costs more than a read, and leaves pages in memory that no later call uses.
struct RowFile {
  int descriptor;   // -1: the table is in memory only
  uint64_t offset;  // of row 0

  // False if `rows` rows are so many, or the table so small, that mapping it is cheaper.
  bool IsWorthReading(const TableView& table, size_t rows) const;
  // Copies a row. False if the file could not be read; the mapped row is then the one to use.
  bool Read(const TableView& table, size_t row, unsigned char* to) const;
};

struct TableView {
  tied_type type;
  const unsigned char* values;  // [rows, row_bytes]; not for nested tables
  size_t rows;
  size_t cols;
  size_t row_bytes;                  // of all planes of values together
  const float* scales;               // null for float tables and if half_scales has them
  const uint16_t* half_scales;       // float16, in blocks only
  const unsigned char* zero_points;  // one per scale; null: all the default of the type
  size_t scales_per_row;             // 0: one for the whole table; else 1, or the blocks in a row
  ScreenView screen;
  IdMap ids;
  RowFile rows_of_file;

  // The values of an int8 or uint8 table are in two planes of nibbles, those of its screen.
  bool is_nested() const { return !is_float() && screen.upper != nullptr; }
  bool is_float() const { return scales == nullptr && half_scales == nullptr; }
  bool in_blocks() const { return type == TIED_INT4 || scales_per_row > 1 || half_scales != nullptr; }
  const unsigned char* Row(size_t row) const { return values + row * row_bytes; }

  // For Int8 and Uint8 tables that are not in blocks.
  float RowScale(size_t row) const { return scales[row * scales_per_row]; }
  int ZeroPoint(size_t row) const {
    if (zero_points == nullptr) return 0;
    const unsigned char byte = zero_points[row * scales_per_row];
    return type == TIED_INT8 ? static_cast<int8_t>(byte) : byte;
  }

  // For nested tables: element k of a row is 16 * upper[k] + lower[k] - offset, times its scale.
  int NestedOffset(size_t row) const { return (type == TIED_INT8 ? 128 : 0) + ZeroPoint(row); }
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_TABLE_H_
