#include "converter/tensor_ref.h"

#include <cstring>

#include "converter/error.h"
#include "converter/file.h"

namespace tied::converter {

namespace {

// More than any shape, scale or bias has; tables are streamed instead.
constexpr uint64_t kMaxRead = 64u << 20;

template <class T>
std::vector<T> Values(const TensorRef& tensor) {
  const std::string bytes = tensor.Read();
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace

size_t ElementSize(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kInt64:
      return 8;
    case ElementType::kBool:
      return 1;
    default:
      return 0;
  }
}

uint64_t CheckedBytes(const std::vector<int64_t>& dims, size_t element_size, const std::string& what) {
  uint64_t bytes = element_size;
  for (const int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes)) {
      throw ConvertError(what + ": the shape is not possible");
    }
  }
  return bytes;
}

uint64_t TensorRef::elements() const { return CheckedBytes(dims, 1, name); }

bool TensorRef::SamePlace(const TensorRef& other) const {
  return type == other.type && dims == other.dims && path == other.path && offset == other.offset &&
         length == other.length && bytes == other.bytes;
}

std::string TensorRef::Read() const {
  if (path.empty()) return bytes;
  if (length > kMaxRead) throw ConvertError(name + ": " + std::to_string(length) + " bytes are too many for its use");
  std::string read(static_cast<size_t>(length), '\0');
  InputFile(path).ReadAt(offset, read.data(), read.size());
  return read;
}

std::vector<int64_t> TensorRef::ReadInts() const {
  if (type == ElementType::kInt64) return Values<int64_t>(*this);
  if (type != ElementType::kInt32) throw ConvertError(name + ": holds no integers");
  const std::vector<int32_t> narrow = Values<int32_t>(*this);
  return {narrow.begin(), narrow.end()};
}

std::vector<float> TensorRef::ReadFloats() const {
  if (type != ElementType::kFloat32) throw ConvertError(name + ": is not float32");
  return Values<float>(*this);
}

}  // namespace tied::converter
