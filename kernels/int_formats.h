// Rows of integers as they lie in memory: bytes, or nibbles, with numbers of their own for each block of columns.
//
// Everything is inlined everywhere: a file for one instruction set must not lend its copy to the others.
#ifndef TIED_KERNELS_INT_FORMATS_H_
#define TIED_KERNELS_INT_FORMATS_H_

#include <cstddef>
#include <cstdint>

#define TIED_INLINE inline __attribute__((always_inline))

namespace tied::kernels {

// Columns of a block.
inline constexpr size_t kBlockCols = 32;
inline constexpr size_t kNibbleBlockBytes = kBlockCols / 2;

template <class Size>
TIED_INLINE Size BlocksOf(Size cols) {
  return (cols + kBlockCols - 1) / kBlockCols;
}

// Two columns of a four-bit row, 0 … 15 each, the even one in the lower half. A row is whole blocks: what is behind its
// last column is there, and multiplied by zeros. A row of bytes ends with its last column.
struct NibblePair {
  uint8_t both;
};

// By the type of its elements: how many a row has, and the integer of column k.
TIED_INLINE size_t RowElements(const NibblePair*, size_t cols) { return BlocksOf(cols) * kNibbleBlockBytes; }
TIED_INLINE size_t RowElements(const void*, size_t cols) { return cols; }
TIED_INLINE int IntegerAt(const NibblePair* row, size_t k) { return row[k / 2].both >> (k % 2 * 4) & 15; }
TIED_INLINE int IntegerAt(const int8_t* row, size_t k) { return row[k]; }
TIED_INLINE int IntegerAt(const uint8_t* row, size_t k) { return row[k]; }

// The zero point that a byte stands for, and the one where there is none.
TIED_INLINE int ZeroPointOf(const NibblePair*, uint8_t byte) { return byte & 15; }
TIED_INLINE int ZeroPointOf(const int8_t*, uint8_t byte) { return static_cast<int8_t>(byte); }
TIED_INLINE int ZeroPointOf(const uint8_t*, uint8_t byte) { return byte; }
TIED_INLINE int DefaultZeroPoint(const NibblePair*) { return 8; }
TIED_INLINE int DefaultZeroPoint(const void*) { return 0; }

// What the integers of rows in blocks stand for: [rows, BlocksOf(cols)] of each.
struct BlocksView {
  const float* scales;
  const uint8_t* zero_points;  // of the rows' type, as bytes; null: all the default

  template <class Element>
  TIED_INLINE int ZeroPoint(const Element* rows, size_t block) const {
    return zero_points == nullptr ? DefaultZeroPoint(rows) : ZeroPointOf(rows, zero_points[block]);
  }
  TIED_INLINE BlocksView From(size_t block) const {
    return {scales + block, zero_points == nullptr ? nullptr : zero_points + block};
  }
};

}  // namespace tied::kernels

#endif  // TIED_KERNELS_INT_FORMATS_H_
