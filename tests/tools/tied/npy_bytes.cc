#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {

namespace {

const std::string kMagic = "\x93NUMPY";

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

}  // namespace

std::string NpyWithHeader(const std::string& header, const std::string& data, char version) {
  std::string file = kMagic + version + '\0';
  const size_t length_bytes = version == 1 ? 2 : 4;
  for (size_t i = 0; i < length_bytes; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return file + header + data;
}

std::string NpyOf(const std::string& descr, const std::string& shape, const std::string& data) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');
  return NpyWithHeader(header + '\n', data);
}

std::string NpyFloats(const std::string& shape, const std::vector<float>& values) {
  return NpyOf("<f4", shape, BytesOf(values));
}

std::string NpyIds(const std::string& shape, const std::vector<int64_t>& values) {
  return NpyOf("<i8", shape, BytesOf(values));
}

Npy SplitNpy(const std::string& file) {
  if (file.size() < 10 || file.compare(0, 6, kMagic) != 0 || file[6] != 1) return {};
  const size_t length = static_cast<unsigned char>(file[8]) | size_t{static_cast<unsigned char>(file[9])} << 8;
  if (file.size() < 10 + length) return {};
  return {file.substr(10, length), file.substr(10 + length)};
}

}  // namespace tied::test
