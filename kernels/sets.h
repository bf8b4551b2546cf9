// The sets of kernels, one for each instruction set. Only these sets' files and the table in kernels.cc include this.
#ifndef TIED_KERNELS_SETS_H_
#define TIED_KERNELS_SETS_H_

#include "kernels/kernels.h"

namespace tied::kernels {

extern const Kernels kScalar;
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kAvx512Vnni;
extern const Kernels kAvx512Intel;  // avx512vnni, with the vectors that suit Intel's CPUs for a few tokens
extern const Kernels kNeon;
extern const Kernels kNeonDot;
extern const Kernels kNeonI8mm;

// Shared by several sets: the AVX-512 sets, and likewise the AArch64 sets, differ only in their products with integers;
// NEON on ARMv7 falls back to the scalar products where it would flush subnormal numbers.
extern const FloatKernels kScalarFloats;
extern const FloatKernels kAvx512Floats;
extern const FloatKernels kAvx512IntelFloats;
extern const FloatKernels kNeonFloats;
extern const BlockKernels kNeonDotBlocks;

}  // namespace tied::kernels

#endif  // TIED_KERNELS_SETS_H_
