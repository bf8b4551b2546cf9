// Dequantises matrices for the reference evaluation.
#ifndef TIED_CONVERTER_CHECK_DEQUANTISED_H_
#define TIED_CONVERTER_CHECK_DEQUANTISED_H_

#include "converter/check/array.h"

namespace tied::converter {

// (values - zero_points) * scales, element by element. There is one scale and zero point, or one for each index of
// dimension `axis`; or, if `block` is not 0, one for each `block` elements along `axis`. zero_points: null for 0.
Array Dequantised(const Array& values, const Array& scales, const Array* zero_points, int64_t axis, int64_t block = 0);

// Rows of integers of 4 or 8 bits, with one scale per `block` columns.
struct Blocks {
  int64_t rows;
  int64_t cols;
  int64_t bits;
  int64_t block;
  bool whole_blocks;  // rows are padded to whole blocks
};

// Returns [rows, cols]. packed: bytes, or elements of four bits; zero_points: null for the middle of the range.
Array DequantisedBlocks(const Array& packed, const Array& scales, const Array* zero_points, const Blocks& blocks);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_DEQUANTISED_H_
