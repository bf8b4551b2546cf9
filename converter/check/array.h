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

// Strides of a row-major tensor, in elements.
std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& dims);

// The product of dims[begin … end). Throws ConvertError if a dimension is negative or the product overflows.
int64_t Product(const std::vector<int64_t>& dims, size_t begin, size_t end);

// A tensor of floating-point numbers or integers (including Booleans), with strides, so that transposing moves no data.
// Its elements are in memory or are computed on demand.
struct Array {
  using Element = std::function<double(int64_t)>;  // argument: row-major position in the original tensor

  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  // in elements
  bool row_major = true;         // the strides are those of a row-major tensor
  int64_t start = 0;             // offset of element 0, in elements
  int64_t stored = 0;            // number of stored elements
  bool integers = false;
  bool fixed = false;                    // computed from constants only
  std::shared_ptr<const void> owner;     // owns the memory of the pointers
  const unsigned char* bytes = nullptr;  // elements of `type`
  ElementType type = ElementType::kOther;
  const double* doubles = nullptr;  // exactly one of bytes, doubles, ints and element is set
  const int64_t* ints = nullptr;
  Element element;
  std::shared_ptr<const Array> ranked;  // for ids from ArgMax or TopK: the array that they index

  // Loads the values of a tensor, which are mapped if they are in a file.
  static Array Load(const TensorRef& tensor);
  static Array OfInts(std::vector<int64_t> dims, std::vector<int64_t> values);
  static Array OfDoubles(std::vector<int64_t> dims, std::vector<double> values);
  static Array Computed(std::vector<int64_t> dims, Element element);

  int64_t size() const;
  // The element at a row-major position.
  double Float(int64_t position) const;
  int64_t Int(int64_t position) const;
  // The element `offset` elements after the start. offset: a sum of indices times strides.
  double At(int64_t offset) const;

  // The same data in a different shape. A tensor that is not row-major is copied.
  Array View(std::vector<int64_t> dims) const;
  // Dimension i of the result is dimension perm[i] of this.
  Array Transposed(const std::vector<size_t>& perm) const;
  // Broadcasts to a shape as ONNX defines it.
  Array Expanded(const std::vector<int64_t>& wanted) const;

 private:
  int64_t Offset(int64_t position) const;
  int64_t Index(int64_t offset) const;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_ARRAY_H_
