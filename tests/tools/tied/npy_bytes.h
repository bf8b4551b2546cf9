// Makes and parses .npy files for tests, independently of the tested code.
#ifndef TIED_TESTS_TOOLS_TIED_NPY_BYTES_H_
#define TIED_TESTS_TOOLS_TIED_NPY_BYTES_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tied::test {

// A file with an arbitrary text as its header.
std::string NpyWithHeader(const std::string& header, const std::string& data, char version = 1);

// A well-formed file. shape: a Python tuple, "(2, 3)".
std::string NpyOf(const std::string& descr, const std::string& shape, const std::string& data);

std::string NpyFloats(const std::string& shape, const std::vector<float>& values);
std::string NpyIds(const std::string& shape, const std::vector<int64_t>& values);

struct Npy {
  std::string header;
  std::string data;

  template <typename T>
  std::vector<T> Values() const {
    std::vector<T> values(data.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), data.data(), values.size() * sizeof(T));
    return values;
  }
};

// Header text and data of a version 1 file; both are empty for other files.
Npy SplitNpy(const std::string& file);

}  // namespace tied::test

#endif  // TIED_TESTS_TOOLS_TIED_NPY_BYTES_H_
