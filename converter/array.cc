#include "converter/array.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "converter/error.h"
#include "converter/file.h"

namespace tied::converter {

std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0; stride *= dims[i]) strides[i] = stride;
  return strides;
}

int64_t Product(const std::vector<int64_t>& dims, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t i = begin; i < end; ++i) product *= dims[i];
  return product;
}

Array Array::Load(const TensorRef& tensor) {
  Array array;
  array.dims = tensor.dims;
  array.strides = RowMajorStrides(array.dims);
  if (tensor.type != ElementType::kFloat32) {
    std::vector<int64_t> values;
    if (tensor.type == ElementType::kBool) {
      for (const char value : tensor.Read()) values.push_back(value);
    } else {
      values = tensor.ReadInts();
    }
    return Array::OfInts(tensor.dims, std::move(values));
  }
  if (tensor.path.empty()) {
    const auto values = std::make_shared<std::vector<float>>(tensor.ReadFloats());
    array.floats = values->data();
    array.owner = values;
    return array;
  }
  const InputFile file(tensor.path);
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const auto lead = static_cast<size_t>(tensor.offset % page);
  const size_t length = lead + static_cast<size_t>(tensor.length);
  void* mapping =
      mmap(nullptr, length, PROT_READ, MAP_SHARED, file.descriptor(), static_cast<off_t>(tensor.offset - lead));
  if (mapping == MAP_FAILED) throw ConvertError(tensor.path + ": cannot map");
  array.owner = std::shared_ptr<const void>(mapping, [length](const void* p) { munmap(const_cast<void*>(p), length); });
  const char* bytes = static_cast<const char*>(mapping) + lead;
  if (tensor.offset % alignof(float) != 0) {  // protobuf aligns nothing
    const auto values = std::make_shared<std::vector<float>>(tensor.length / sizeof(float));
    std::memcpy(values->data(), bytes, tensor.length);
    array.floats = values->data();
    array.owner = values;
    return array;
  }
  array.floats = reinterpret_cast<const float*>(bytes);
  return array;
}

Array Array::OfInts(std::vector<int64_t> dims, std::vector<int64_t> values) {
  Array array;
  array.strides = RowMajorStrides(dims);
  array.dims = std::move(dims);
  array.integers = true;
  const auto owner = std::make_shared<std::vector<int64_t>>(std::move(values));
  array.ints = owner->data();
  array.owner = owner;
  return array;
}

Array Array::OfDoubles(std::vector<int64_t> dims, std::vector<double> values) {
  Array array;
  array.strides = RowMajorStrides(dims);
  array.dims = std::move(dims);
  const auto owner = std::make_shared<std::vector<double>>(std::move(values));
  array.doubles = owner->data();
  array.owner = owner;
  return array;
}

int64_t Array::size() const { return Product(dims, 0, dims.size()); }

int64_t Array::Offset(int64_t position) const {
  int64_t offset = 0;
  for (size_t i = dims.size(); i-- > 0; position /= dims[i]) offset += position % dims[i] * strides[i];
  return offset;
}

double Array::Float(int64_t position) const {
  if (integers) return static_cast<double>(Int(position));
  return floats != nullptr ? static_cast<double>(floats[Offset(position)]) : doubles[Offset(position)];
}

int64_t Array::Int(int64_t position) const {
  if (!integers) throw ConvertError("integers were expected where there are none");
  return ints[Offset(position)];
}

}  // namespace tied::converter
