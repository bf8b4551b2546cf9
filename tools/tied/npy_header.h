// The text of a .npy header, a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
#ifndef TIED_TOOLS_TIED_NPY_HEADER_H_
#define TIED_TOOLS_TIED_NPY_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tied::cli {

struct NpyHeader {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;  // no dimension is negative
};

// Expects each of the three keys once, in any order, and nothing else. On failure, *problem says what was expected.
bool ParseNpyHeader(std::string_view text, NpyHeader* header, std::string* problem);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_NPY_HEADER_H_
