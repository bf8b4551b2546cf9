// Tensors of the reference evaluation.
#ifndef TIED_CONVERTER_ARRAY_H_
#define TIED_CONVERTER_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "converter/tensor_ref.h"

namespace tied::converter {

// Of a row-major tensor, in elements.
std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& dims);

// Of dims[begin … end).
int64_t Product(const std::vector<int64_t>& dims, size_t begin, size_t end);

// A tensor of floating-point numbers or of integers (Booleans included), with strides: a transposition moves nothing.
struct Array {
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  // in elements
  bool integers = false;
  std::shared_ptr<const void> owner;  // keeps what the pointers lead to
  const float* floats = nullptr;      // one of these three
  const double* doubles = nullptr;
  const int64_t* ints = nullptr;
  std::shared_ptr<const Array> ranked;  // of ids that ArgMax or TopK has made: what they are positions in

  // The values of a tensor: mapped, if they lie in a file.
  static Array Load(const TensorRef& tensor);
  static Array OfInts(std::vector<int64_t> dims, std::vector<int64_t> values);
  static Array OfDoubles(std::vector<int64_t> dims, std::vector<double> values);

  int64_t size() const;
  // The element at a row-major position.
  double Float(int64_t position) const;
  int64_t Int(int64_t position) const;

 private:
  int64_t Offset(int64_t position) const;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ARRAY_H_
