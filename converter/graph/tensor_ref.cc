#include "converter/graph/tensor_ref.h"

#include <cstring>

#include "base/error.h"
#include "base/input_file.h"
#include "schema/checked_math.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

// Larger than any shape, scale or bias; tables are streamed.
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
    case ElementType::kFloat16:
    case ElementType::kBFloat16:
      return 2;
    case ElementType::kBool:
    case ElementType::kUint8:
    case ElementType::kInt8:
      return 1;
    default:
      return 0;
  }
}

bool IsFloat(ElementType type) {
  return type == ElementType::kFloat32 || type == ElementType::kFloat16 || type == ElementType::kBFloat16;
}

uint64_t CheckedBytes(const std::vector<int64_t>& dims, size_t element_size, const std::string& what) {
  uint64_t bytes = element_size;
  for (const int64_t dim : dims) {
    if (dim < 0 || !CheckedMultiply(bytes, dim, &bytes)) {
      throw ConvertError(what + ": the shape is invalid");
    }
  }
  return bytes;
}

void TensorRef::SetBytes(std::string values) {
  path.clear();
  offset = 0;
  length = values.size();
  bytes = std::make_shared<const std::string>(std::move(values));
}

uint64_t TensorRef::elements() const { return CheckedBytes(dims, 1, name); }

namespace {

bool SameMap(const std::shared_ptr<const ByteMap>& a, const std::shared_ptr<const ByteMap>& b) {
  return a != nullptr && b != nullptr && *a == *b;
}

}  // namespace

bool TensorRef::SamePlace(const TensorRef& other) const {
  if (type != other.type || dims != other.dims || path != other.path || offset != other.offset ||
      length != other.length || (byte_map != other.byte_map && !SameMap(byte_map, other.byte_map)) ||
      (bytes != other.bytes && *bytes != *other.bytes)) {
    return false;
  }
  if (quantisation == nullptr || other.quantisation == nullptr) return quantisation == other.quantisation;
  const Quantisation &a = *quantisation, &b = *other.quantisation;
  return a.bits == b.bits && a.block == b.block && a.row_bytes == b.row_bytes &&
         a.zero_points_per_row == b.zero_points_per_row && a.scales.SamePlace(b.scales) &&
         a.zero_points.SamePlace(b.zero_points) && (a.axis == b.axis || a.scales.elements() == 1) &&
         (a.default_zero_point == b.default_zero_point || a.zero_points.length > 0);
}

std::string TensorRef::Read() const {
  if (path.empty() && byte_map == nullptr) return *bytes;
  if (length > kMaxRead) throw ConvertError(name + ": " + std::to_string(length) + " bytes are too many here");
  std::string read(static_cast<size_t>(length), '\0');
  ReadRange(0, read.data(), read.size());
  return read;
}

void TensorRef::ReadRange(uint64_t first, void* data, size_t size) const {
  uint64_t end = 0;
  if (!CheckedAdd(first, size, &end) || end > length) {
    throw ConvertError(name + ": has " + std::to_string(length) + " bytes; more are needed");
  }
  if (size == 0) return;
  if (path.empty()) {
    std::memcpy(data, bytes->data() + first, size);
  } else {
    InputFile(path).ReadAt(offset + first, data, size);
  }
  MapBytes(data, size);
}

void TensorRef::MapBytes(void* data, size_t size) const {
  if (byte_map == nullptr) return;
  auto* mapped = static_cast<unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) mapped[i] = (*byte_map)[mapped[i]];
}

std::vector<int64_t> TensorRef::ReadInts() const {
  if (type == ElementType::kInt64) return Values<int64_t>(*this);
  if (type != ElementType::kInt32) throw ConvertError(name + ": does not hold int32 or int64");
  const std::vector<int32_t> narrow = Values<int32_t>(*this);
  return {narrow.begin(), narrow.end()};
}

std::vector<float> TensorRef::ReadFloats() const {
  if (type == ElementType::kFloat32) return Values<float>(*this);
  if (!IsFloat(type)) throw ConvertError(name + ": does not hold floating-point numbers");
  std::vector<float> floats;
  for (const uint16_t bits : Values<uint16_t>(*this)) {
    floats.push_back(type == ElementType::kFloat16 ? FloatOfHalf(bits) : FloatOfBFloat(bits));
  }
  return floats;
}

}  // namespace tied::converter
