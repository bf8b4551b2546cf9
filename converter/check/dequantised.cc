#include "converter/check/dequantised.h"

#include "base/error.h"

namespace tied::converter {

Array Dequantised(const Array& values, const Array& scales, const Array* zero_points, int64_t axis, int64_t block) {
  const Array zeros = zero_points == nullptr ? Array::OfInts({}, {0}) : *zero_points;
  const bool one_scale = scales.size() == 1, one_zero = zeros.size() == 1;
  const auto rank = static_cast<int64_t>(values.dims.size());
  const bool one = one_scale && one_zero;
  if (!one && (axis < -rank || axis >= rank)) throw ConvertError("scales run along an axis that does not exist");
  const auto along = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  const int64_t after = one ? 1 : Product(values.dims, along + 1, values.dims.size());
  const int64_t size = one ? 1 : values.dims[along];
  return Array::Computed(values.dims, [=](int64_t position) {
    int64_t i = one ? 0 : position / after % size;
    if (block > 0) i = (position / after / size * ((size - 1) / block + 1) + i / block) * after + position % after;
    return (values.Float(position) - zeros.Float(one_zero ? 0 : i)) * scales.Float(one_scale ? 0 : i);
  });
}

Array DequantisedBlocks(const Array& packed, const Array& scales, const Array* zero_points, const Blocks& blocks) {
  const bool possible = blocks.rows > 0 && blocks.cols > 0 && blocks.cols <= INT32_MAX && blocks.block > 0 &&
                        blocks.block <= INT32_MAX && (blocks.bits == 4 || blocks.bits == 8);
  if (!possible) throw ConvertError("blocks of integers have invalid sizes");
  const int64_t per_row = (blocks.cols + blocks.block - 1) / blocks.block;
  const bool elements = packed.type == ElementType::kUint4 || packed.type == ElementType::kInt4;
  const int64_t per_byte = elements ? 1 : 8 / blocks.bits;
  const auto integer = [=](const Array& array, int64_t row_size, int64_t row, int64_t i) {
    const int64_t byte = array.Int(row * row_size + i / per_byte);
    return per_byte == 1 ? byte : byte >> (i % 2 * 4) & 15;
  };
  const int64_t row_size = (blocks.whole_blocks ? per_row * blocks.block : blocks.cols) / per_byte;
  const int64_t zeros_size = (per_row + per_byte - 1) / per_byte;
  const bool is_unsigned = packed.type == ElementType::kUint8;
  const int64_t middle = is_unsigned ? int64_t{1} << (blocks.bits - 1) : 0;
  const bool has_zeros = zero_points != nullptr;
  const Array zeros = has_zeros ? *zero_points : Array::OfInts({0}, {});
  return Array::Computed({blocks.rows, blocks.cols}, [=](int64_t position) {
    const int64_t row = position / blocks.cols, col = position % blocks.cols;
    const int64_t block = col / blocks.block;
    const int64_t zero = has_zeros ? integer(zeros, zeros_size, row, block) : middle;
    return static_cast<double>(integer(packed, row_size, row, col) - zero) * scales.Float(row * per_row + block);
  });
}

}  // namespace tied::converter
