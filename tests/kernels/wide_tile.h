// The tile of the AVX-512 set in AVX2 instructions, so that its loops are tested on CPUs without AVX-512.
#ifndef TIED_TESTS_KERNELS_WIDE_TILE_H_
#define TIED_TESTS_KERNELS_WIDE_TILE_H_

#include "kernels/kernels.h"

namespace tied::test {

extern const kernels::Kernels kWideTile;

}  // namespace tied::test

#endif  // TIED_TESTS_KERNELS_WIDE_TILE_H_
