#include "converter/check/array.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/input_file.h"
#include "schema/checked_math.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) strides[i] = Product(dims, i + 1, dims.size());
  return strides;
}

int64_t Product(const std::vector<int64_t>& dims, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t i = begin; i < end; ++i) {
    if (dims[i] < 0 || !CheckedMultiply(product, dims[i], &product)) {
      throw ConvertError("the reference evaluation computes an invalid shape");
    }
  }
  return product;
}

namespace {

// Maps a file's bytes while the result exists.
std::shared_ptr<const unsigned char> Map(const TensorRef& tensor) {
  const InputFile file(tensor.path);
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const auto lead = static_cast<size_t>(tensor.offset % page);
  const size_t length = lead + static_cast<size_t>(tensor.length);
  void* mapping =
      mmap(nullptr, length, PROT_READ, MAP_SHARED, file.descriptor(), static_cast<off_t>(tensor.offset - lead));
  if (mapping == MAP_FAILED) throw ConvertError(tensor.path + ": cannot map");
  auto* bytes = static_cast<unsigned char*>(mapping);
  return {bytes + lead, [=](const unsigned char*) { munmap(bytes, length); }};
}

// Reads unaligned data: protobuf does not align values.
template <class T>
T Read(const unsigned char* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + static_cast<size_t>(index) * sizeof(T), sizeof value);
  return value;
}

double ReadElement(const unsigned char* bytes, ElementType type, int64_t index) {
  switch (type) {
    case ElementType::kFloat32:
      return static_cast<double>(Read<float>(bytes, index));
    case ElementType::kFloat16:
      return static_cast<double>(FloatOfHalf(Read<uint16_t>(bytes, index)));
    case ElementType::kBFloat16:
      return static_cast<double>(FloatOfBFloat(Read<uint16_t>(bytes, index)));
    case ElementType::kInt64:
      return static_cast<double>(Read<int64_t>(bytes, index));
    case ElementType::kInt32:
      return Read<int32_t>(bytes, index);
    case ElementType::kInt8:
      return Read<int8_t>(bytes, index);
    case ElementType::kUint4:
      return bytes[index / 2] >> (index % 2 * 4) & 15;
    case ElementType::kInt4:
      return ((bytes[index / 2] >> (index % 2 * 4) & 15) ^ 8) - 8;
    default:
      return Read<uint8_t>(bytes, index);
  }
}

}  // namespace

Array Array::Load(const TensorRef& tensor) {
  if (tensor.type == ElementType::kOther) {
    throw ConvertError(tensor.name + ": the reference evaluation does not support ONNX type " +
                       std::to_string(tensor.onnx_type));
  }
  Array array;
  array.dims = tensor.dims;
  array.strides = RowMajorStrides(array.dims);
  array.type = tensor.type;
  array.stored = array.size();
  array.integers = !IsFloat(tensor.type);
  if (tensor.path.empty() || tensor.length == 0) {
    array.bytes = reinterpret_cast<const unsigned char*>(tensor.bytes->data());
    array.owner = tensor.bytes;
  } else {
    const auto mapped = Map(tensor);
    array.bytes = mapped.get();
    array.owner = mapped;
  }
  return array;
}

Array Array::OfInts(std::vector<int64_t> dims, std::vector<int64_t> values) {
  Array array;
  array.strides = RowMajorStrides(dims);
  array.dims = std::move(dims);
  array.integers = true;
  const auto owner = std::make_shared<std::vector<int64_t>>(std::move(values));
  array.stored = static_cast<int64_t>(owner->size());
  array.ints = owner->data();
  array.owner = owner;
  return array;
}

Array Array::OfDoubles(std::vector<int64_t> dims, std::vector<double> values) {
  Array array;
  array.strides = RowMajorStrides(dims);
  array.dims = std::move(dims);
  const auto owner = std::make_shared<std::vector<double>>(std::move(values));
  array.stored = static_cast<int64_t>(owner->size());
  array.doubles = owner->data();
  array.owner = owner;
  return array;
}

Array Array::Computed(std::vector<int64_t> dims, Element element) {
  Array array;
  array.strides = RowMajorStrides(dims);
  array.dims = std::move(dims);
  array.stored = array.size();
  array.element = std::move(element);
  return array;
}

int64_t Array::size() const { return Product(dims, 0, dims.size()); }

int64_t Array::Offset(int64_t position) const {
  if (row_major) return position;
  if (size() == 0) return stored;
  int64_t offset = 0;
  for (size_t i = dims.size(); i-- > 0; position /= dims[i]) offset += position % dims[i] * strides[i];
  return offset;
}

double Array::Float(int64_t position) const { return At(Offset(position)); }

int64_t Array::Int(int64_t position) const {
  if (!integers) throw ConvertError("expected integers, found floating-point numbers");
  const int64_t index = Index(Offset(position));
  if (ints != nullptr) return ints[index];
  return type == ElementType::kInt64 ? Read<int64_t>(bytes, index)
                                     : static_cast<int64_t>(ReadElement(bytes, type, index));
}

double Array::At(int64_t offset) const {
  const int64_t index = Index(offset);
  if (bytes != nullptr) return ReadElement(bytes, type, index);
  if (doubles != nullptr) return doubles[index];
  return ints != nullptr ? static_cast<double>(ints[index]) : element(index);
}

// Shapes, axes and indices of an untrusted graph may point anywhere.
int64_t Array::Index(int64_t offset) const {
  int64_t index = 0;
  if (CheckedAdd(start, offset, &index) && index >= 0 && index < stored) return index;
  throw ConvertError("the reference evaluation reaches outside a tensor");
}

Array Array::View(std::vector<int64_t> wanted) const {
  Array view = *this;
  if (!row_major) {
    std::vector<double> values;
    std::vector<int64_t> numbers;
    for (int64_t i = 0; i < size(); ++i) {
      if (integers) numbers.push_back(Int(i));
      if (!integers) values.push_back(Float(i));
    }
    view = integers ? Array::OfInts(dims, std::move(numbers)) : Array::OfDoubles(dims, std::move(values));
  }
  view.dims = std::move(wanted);
  view.strides = RowMajorStrides(view.dims);
  return view;
}

Array Array::Transposed(const std::vector<size_t>& perm) const {
  Array moved = *this;
  moved.row_major = false;
  for (size_t i = 0; i < perm.size(); ++i) {
    moved.dims[i] = dims[perm[i]];
    moved.strides[i] = strides[perm[i]];
  }
  return moved;
}

Array Array::Expanded(const std::vector<int64_t>& wanted) const {
  Array expanded = *this;
  expanded.row_major = false;
  const size_t rank = std::max(wanted.size(), dims.size());
  expanded.dims.assign(rank, 1);
  expanded.strides.assign(rank, 0);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t dim = i + dims.size() < rank ? 1 : dims[i + dims.size() - rank];
    const int64_t other = i + wanted.size() < rank ? 1 : wanted[i + wanted.size() - rank];
    if (dim != other && dim != 1 && other != 1) throw ConvertError("dimensions do not match");
    expanded.dims[i] = dim == 1 ? other : dim;
    if (dim != 1) expanded.strides[i] = strides[i + dims.size() - rank];
  }
  return expanded;
}

}  // namespace tied::converter
