// Rows of integers in memory: bytes or nibbles, which may have a scale and a zero point for each block of columns.
//
// Everything is always inlined: otherwise the linker might keep only a copy compiled for one instruction set.
#ifndef TIED_KERNELS_INT_FORMATS_H_
#define TIED_KERNELS_INT_FORMATS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/float_formats.h"

#define TIED_INLINE inline __attribute__((always_inline))

namespace tied::kernels {

// Columns in a block.
inline constexpr size_t kBlockCols = 32;
inline constexpr size_t kNibbleBlockBytes = kBlockCols / 2;

template <class Size>
TIED_INLINE Size BlocksOf(Size cols) {
  return (cols + kBlockCols - 1) / kBlockCols;
}

// Two columns of a four-bit row, 0 … 15 each, the even one in the lower half. A row of nibbles is whole blocks: the
// elements after its last column are read and multiplied by zeros. A row of bytes ends with its last column.
struct NibblePair {
  uint8_t both;
};

// By element type: the number of elements in a row, and the integer of column k.
TIED_INLINE size_t RowElements(const NibblePair*, size_t cols) { return BlocksOf(cols) * kNibbleBlockBytes; }
TIED_INLINE size_t RowElements(const void*, size_t cols) { return cols; }
TIED_INLINE int IntegerAt(const NibblePair* row, size_t k) { return row[k / 2].both >> (k % 2 * 4) & 15; }
TIED_INLINE int IntegerAt(const int8_t* row, size_t k) { return row[k]; }
TIED_INLINE int IntegerAt(const uint8_t* row, size_t k) { return row[k]; }

// By element type: the integer that products subtract from each element, so that these fit in signed bytes.
TIED_INLINE int Centre(const NibblePair*) { return 8; }
TIED_INLINE int Centre(const int8_t*) { return 0; }
TIED_INLINE int Centre(const uint8_t*) { return 128; }

// By element type: the zero point that a byte encodes, minus the centre. Exact: zero points of nibbles are sixteenths.
TIED_INLINE float ZeroPointOf(const NibblePair*, uint8_t byte) { return static_cast<float>(byte - 128) * 0x1p-4f; }
TIED_INLINE float ZeroPointOf(const int8_t*, uint8_t byte) { return static_cast<float>(static_cast<int8_t>(byte)); }
TIED_INLINE float ZeroPointOf(const uint8_t*, uint8_t byte) { return static_cast<float>(byte - 128); }
TIED_INLINE float DefaultZeroPoint(const NibblePair*) { return 0; }
TIED_INLINE float DefaultZeroPoint(const int8_t*) { return 0; }
TIED_INLINE float DefaultZeroPoint(const uint8_t*) { return -128; }

// A sum of nibbles times activations is known modulo 2^32 (DotNibbles). With 8 subtracted from each nibble it is below
// 2^31, so that it is known. total: the sum of the activations.
TIED_INLINE uint32_t EightTotals(double total) { return 8 * static_cast<uint32_t>(static_cast<int64_t>(total)); }
TIED_INLINE int32_t CentredSum(uint32_t sum, uint32_t eight_totals) { return static_cast<int32_t>(sum - eight_totals); }

// Adds to sums of nibbles times activations those of more columns, modulo 2^32.
TIED_INLINE void AddSums(const uint32_t* more, size_t count, uint32_t* sums) {
  for (size_t i = 0; i < count; ++i) sums[i] += more[i];
}

// The sum of (16 * upper + lower - offset) times activations, from those of the two planes of nibbles.
TIED_INLINE double NestedSum(uint32_t upper_sum, uint32_t lower_sum, int offset, double total) {
  const uint32_t eight = EightTotals(total);
  return 16.0 * CentredSum(upper_sum, eight) + CentredSum(lower_sum, eight) + (16 * 8 + 8 - offset) * total;
}

// Scales and zero points of rows in blocks, [rows, BlocksOf(cols)] each.
struct BlocksView {
  const float* scales;         // null: half_scales has them
  const Half* half_scales;     // null: scales has them
  const uint8_t* zero_points;  // as bytes; null: all default

  TIED_INLINE float Scale(size_t block) const { return scales != nullptr ? scales[block] : Widen(half_scales[block]); }
  // Minus the centre.
  template <class Element>
  TIED_INLINE float ZeroPoint(const Element* rows, size_t block) const {
    return zero_points == nullptr ? DefaultZeroPoint(rows) : ZeroPointOf(rows, zero_points[block]);
  }
  // False if all zero points are the centre.
  template <class Element>
  TIED_INLINE bool HasZeroPoints(const Element* rows) const {
    return zero_points != nullptr || DefaultZeroPoint(rows) != 0;
  }
  TIED_INLINE BlocksView From(size_t block) const {
    return {scales == nullptr ? nullptr : scales + block, half_scales == nullptr ? nullptr : half_scales + block,
            zero_points == nullptr ? nullptr : zero_points + block};
  }
};

}  // namespace tied::kernels

#endif  // TIED_KERNELS_INT_FORMATS_H_
