// A tensor of the model, where it lies: a view, never a copy.
#ifndef TIED_CONVERTER_TENSOR_REF_H_
#define TIED_CONVERTER_TENSOR_REF_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tied::converter {

// ONNX's TensorProto.DataType, as far as it is understood.
enum class ElementType : int { kFloat32 = 1, kInt32 = 6, kInt64 = 7, kBool = 9, kOther = 0 };

// Bytes of one element; 0 for kOther.
size_t ElementSize(ElementType type);

// Product of the dimensions times `element_size`; throws ConvertError, naming `what`, if a dimension is negative or
// the product does not fit.
uint64_t CheckedBytes(const std::vector<int64_t>& dims, size_t element_size, const std::string& what);

struct TensorRef {
  std::string name;
  ElementType type = ElementType::kOther;
  int onnx_type = 0;  // as the file has it, for messages
  std::vector<int64_t> dims;
  std::string path;     // file that holds the values; empty: they are in `bytes`
  uint64_t offset = 0;  // in that file
  uint64_t length = 0;  // bytes
  std::string bytes;    // small tensors

  uint64_t elements() const;
  bool SamePlace(const TensorRef& other) const;

  // All bytes, for tensors that are known to be small.
  std::string Read() const;

  // The values of a small integer or float tensor.
  std::vector<int64_t> ReadInts() const;
  std::vector<float> ReadFloats() const;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_TENSOR_REF_H_
