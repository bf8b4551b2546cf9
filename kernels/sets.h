// The sets of kernels, one for each file of an instruction set. Only the table in kernels.cc and those files see them.
#ifndef TIED_KERNELS_SETS_H_
#define TIED_KERNELS_SETS_H_

#include "kernels/kernels.h"

namespace tied::kernels {

extern const Kernels kScalar;
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kAvx512Vnni;
extern const Kernels kNeon;
extern const Kernels kNeonDot;

// What is shared: the AVX-512 sets and those of AArch64 differ in the products with integers alone, and NEON falls back
// on the scalar products where it would flush subnormal numbers.
extern const FloatKernels kScalarFloats;
extern const FloatKernels kAvx512Floats;
extern const FloatKernels kNeonFloats;

}  // namespace tied::kernels

#endif  // TIED_KERNELS_SETS_H_
