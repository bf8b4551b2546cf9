// A table for the computations: pointers to its mapped planes.
#ifndef TIED_RUNTIME_FILE_TABLE_H_
#define TIED_RUNTIME_FILE_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/file/id_map.h"
#include "tied/tied.h"

namespace tied::runtime {

// An int8 approximation of each row, and a bound on its error.
struct ScreenView {
  const int8_t* values;         // [rows, cols]; null: the table has no screen
  const float* scales;          // [rows]
  const float* residual_norms;  // [rows]
};

struct TableView {
  tied_type type;
  const unsigned char* values;  // [rows, row_bytes]
  size_t rows;
  size_t cols;
  size_t row_bytes;
  const float* scales;               // null for float tables
  const unsigned char* zero_points;  // one per scale; null: all the default of the type
  size_t scales_per_row;             // 0: one for the whole table; else 1, or the blocks in a row
  ScreenView screen;
  IdMap ids;

  bool is_float() const { return scales == nullptr; }
  bool in_blocks() const { return type == TIED_INT4 || scales_per_row > 1; }
  const unsigned char* Row(size_t row) const { return values + row * row_bytes; }

  // For Int8 and Uint8 tables that are not in blocks.
  float RowScale(size_t row) const { return scales[row * scales_per_row]; }
  int ZeroPoint(size_t row) const {
    if (zero_points == nullptr) return 0;
    const unsigned char byte = zero_points[row * scales_per_row];
    return type == TIED_INT8 ? static_cast<int8_t>(byte) : byte;
  }
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_TABLE_H_
