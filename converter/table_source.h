// A table where it lies in the model, read by rows.
#ifndef TIED_CONVERTER_TABLE_SOURCE_H_
#define TIED_CONVERTER_TABLE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "converter/tensor_ref.h"

namespace tied::converter {

// Called with the bytes done so far and the total.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

struct TableSource {
  TensorRef tensor;  // float32, [rows, cols], or [cols, rows] if transposed
  bool transposed = false;

  uint64_t rows() const { return static_cast<uint64_t>(tensor.dims[transposed ? 1 : 0]); }
  uint64_t cols() const { return static_cast<uint64_t>(tensor.dims[transposed ? 0 : 1]); }

  // Calls visit(values, bytes) with the rows in order, in blocks of the same size whatever the layout in the model, so
  // that two sources can be compared block by block; visit returns whether to go on. Needs about 16 MB.
  using Visit = std::function<bool(const char* values, size_t bytes)>;
  void ForEachBlock(const Visit& visit) const;
};

// True if both hold the same values in every row, bit for bit.
bool SameValues(const TableSource& a, const TableSource& b, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_TABLE_SOURCE_H_
