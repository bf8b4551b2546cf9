// The sets of kernels that tests compare with the scalar set.
#ifndef TIED_TESTS_KERNELS_SETS_H_
#define TIED_TESTS_KERNELS_SETS_H_

#include <vector>

#include "kernels/kernels.h"

namespace tied::test {

// The scalar set, which defines the results.
const kernels::Kernels& Scalar();

// All other sets in this build that the CPU supports. On x86-64 also "wide": the tiles and byte products of the AVX-512
// sets, emulated on a CPU with AVX2.
std::vector<const kernels::Kernels*> VectorSets();

// These and the scalar set.
std::vector<const kernels::Kernels*> AllSets();

}  // namespace tied::test

#endif  // TIED_TESTS_KERNELS_SETS_H_
