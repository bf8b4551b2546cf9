// Tensors of the reference evaluation.
#ifndef TIED_CONVERTER_CHECK_ARRAY_H_
#define TIED_CONVERTER_CHECK_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "converter/graph/tensor_ref.h"

namespace tied::converter {

// Of a row-major tensor, in elements.
std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& dims);

// Of dims[begin … end). Throws ConvertError if that is no number of elements.
int64_t Product(const std::vector<int64_t>& dims, size_t begin, size_t end);

// A tensor of floating-point numbers or of integers (Booleans included), with strides: a transposition moves nothing.
// Its elements lie in memory or are computed when they are asked for.
struct Array {
  using Element = std::function<double(int64_t)>;  // of a row-major position in the tensor as it was made

  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  // in elements
  bool row_major = true;         // what the strides are
  int64_t start = 0;             // element 0, in elements
  int64_t stored = 0;            // elements that there are, from the first stored one on
  bool integers = false;
  std::shared_ptr<const void> owner;     // keeps what the pointer leads to
  const unsigned char* bytes = nullptr;  // elements of `type`
  ElementType type = ElementType::kOther;
  const double* doubles = nullptr;  // one of these four
  const int64_t* ints = nullptr;
  Element element;
  std::shared_ptr<const Array> ranked;  // of ids that ArgMax or TopK has made: what they are positions in

  // The values of a tensor: mapped, if they lie in a file.
  static Array Load(const TensorRef& tensor);
  static Array OfInts(std::vector<int64_t> dims, std::vector<int64_t> values);
  static Array OfDoubles(std::vector<int64_t> dims, std::vector<double> values);
  static Array Computed(std::vector<int64_t> dims, Element element);

  int64_t size() const;
  // The element at a row-major position.
  double Float(int64_t position) const;
  int64_t Int(int64_t position) const;
  // The element that lies `offset` elements behind the start: a sum of indices times strides.
  double At(int64_t offset) const;

  // The same data in another shape; a tensor with strides of its own is laid out anew.
  Array View(std::vector<int64_t> dims) const;
  // With its dimensions in another order: dimension i is perm[i] of this one.
  Array Transposed(const std::vector<size_t>& perm) const;
  // Broadcast with a shape, as ONNX says it.
  Array Expanded(const std::vector<int64_t>& wanted) const;

 private:
  int64_t Offset(int64_t position) const;
  int64_t Index(int64_t offset) const;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_ARRAY_H_
