// Reads and writes tensors as NumPy's .npy files.
#ifndef TIED_TOOLS_TIED_NPY_H_
#define TIED_TOOLS_TIED_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tied/tied.h"

namespace tied::cli {

// A tensor that owns its data: row-major and dense.
struct Array {
  tied_type type = TIED_FLOAT32;
  std::vector<int64_t> shape;
  std::vector<unsigned char> bytes;  // aligned for every type by the allocator

  size_t size() const;  // elements

  // The elements. The caller must know the type.
  template <typename T>
  const T* values() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
  template <typename T>
  T* values() {
    return reinterpret_cast<T*>(bytes.data());
  }
};

// Bytes per element; 0 for an unsupported type.
size_t ElementBytes(tied_type type);

// A tensor of zeros. Throws std::bad_alloc if its size does not fit in memory or in a size_t.
Array MakeArray(tied_type type, std::vector<int64_t> shape);

// Reads a file, or standard input for "-". Supports little-endian float32, int32, int64 and bool in C order.
// Throws std::runtime_error that names the file and the error. Does not trust the size in the header: memory grows with
// the bytes that are really read.
Array ReadNpy(const std::string& path);

// The header of the array's file, before its bytes.
std::string NpyHeaderOf(const Array& array);

void WriteNpy(const Array& array, OutputFile* file);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_NPY_H_
