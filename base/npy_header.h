// The header of a .npy file (numpy/lib/format.py): magic, version, length, and the text of a Python dictionary such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
#ifndef TIED_BASE_NPY_HEADER_H_
#define TIED_BASE_NPY_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tied {

// The first bytes of every .npy file.
inline constexpr std::string_view kNpyMagic = "\x93NUMPY";

struct NpyHeader {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;  // no dimension is negative
};

// Reads the next `count` bytes of a file, or fewer at its end, and returns how many.
using NpyRead = std::function<size_t(void* data, size_t count)>;

// Reads to the end of the header, where the elements begin. The dictionary must have each of the three keys once, in
// any order, and nothing else. On failure, *problem says what is wrong, to stand behind the name of the file.
bool ReadNpyHeader(const NpyRead& read, NpyHeader* header, std::string* problem);

// Counts the elements of a shape. Returns false if the number does not fit in a size_t.
bool CountElements(const std::vector<int64_t>& shape, size_t* count);

}  // namespace tied

#endif  // TIED_BASE_NPY_HEADER_H_
