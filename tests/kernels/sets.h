// The sets of kernels that are held against the scalar one.
#ifndef TIED_TESTS_KERNELS_SETS_H_
#define TIED_TESTS_KERNELS_SETS_H_

#include <vector>

#include "kernels/kernels.h"

namespace tied::test {

// The definition.
const kernels::Kernels& Scalar();

// All others, of this build, that the CPU has the instructions for. On x86-64 also "wide", the tiles and byte products
// of the AVX-512 sets on a CPU that has AVX2 alone.
std::vector<const kernels::Kernels*> VectorSets();

}  // namespace tied::test

#endif  // TIED_TESTS_KERNELS_SETS_H_
