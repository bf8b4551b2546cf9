// A reference to a tensor of the model, which is not copied.
#ifndef TIED_CONVERTER_GRAPH_TENSOR_REF_H_
#define TIED_CONVERTER_GRAPH_TENSOR_REF_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tied::converter {

// The supported types of ONNX's TensorProto.DataType.
enum class ElementType : int {
  kOther = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kBFloat16 = 16,
  kUint4 = 21,
  kInt4 = 22,
};

// Bytes per element; 0 for kOther and for types of four bits.
size_t ElementSize(ElementType type);

// Float32, or narrower.
bool IsFloat(ElementType type);

// Product of the dimensions times `element_size`. Throws ConvertError that names `what` if a dimension is negative or
// the product overflows.
uint64_t CheckedBytes(const std::vector<int64_t>& dims, size_t element_size, const std::string& what);

struct Quantisation;

using ByteMap = std::array<unsigned char, 256>;

struct TensorRef {
  std::string name;
  ElementType type = ElementType::kOther;
  int onnx_type = 0;      // the number in the file, for messages
  std::string file_type;  // the name in a safetensors file, for messages
  std::vector<int64_t> dims;
  std::string path;     // file that holds the values; "": they are in `bytes`
  uint64_t offset = 0;  // in that file
  uint64_t length = 0;  // bytes
  std::shared_ptr<const std::string> bytes = std::make_shared<const std::string>();  // small tensors
  std::shared_ptr<const Quantisation> quantisation;                                  // of quantised integers
  std::shared_ptr<const ByteMap> byte_map;  // each byte stands for another: integers that the model rounds again

  // Stores the values of a small tensor in `bytes`, which copies share.
  void SetBytes(std::string values);

  uint64_t elements() const;
  bool SamePlace(const TensorRef& other) const;

  // All bytes of a small tensor.
  std::string Read() const;

  // Reads `size` bytes from `first` on.
  void ReadRange(uint64_t first, void* data, size_t size) const;

  // Replaces bytes that were read from `path` by those that they stand for.
  void MapBytes(void* data, size_t size) const;

  // The values of a small tensor of int32 or int64, or of floating-point numbers.
  std::vector<int64_t> ReadInts() const;
  std::vector<float> ReadFloats() const;
};

// Quantisation of a matrix: number = (integer - zero point) * scale.
struct Quantisation {
  int bits = 8;           // of an integer; with four, the even column is in the lower half of a byte
  int64_t axis = 0;       // the dimension of the matrix along which scales run, if there is more than one
  int64_t block = 0;      // columns of each row that share a scale; 0: it has none of its own
  size_t row_bytes = 0;   // of blocks: what a row takes
  TensorRef scales;       // float32 or narrower
  TensorRef zero_points;  // as many, of the type of the integers and packed as they are; no bytes: all the same
  size_t zero_points_per_row = 0;  // of blocks, those included that only fill a byte
  int default_zero_point = 0;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_TENSOR_REF_H_
