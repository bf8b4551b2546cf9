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

// The products with float rows of the AVX-512 sets, which differ in those with integers alone.
PackHidden PackHiddenAvx512;
DotFloats DotF32Avx512, DotF16Avx512, DotBF16Avx512;

// The scalar dot products, for a set that must fall back on them. They read hidden as the scalar set packs it.
DotFloats DotF32Scalar, DotF16Scalar, DotBF16Scalar;

}  // namespace tied::kernels

#endif  // TIED_KERNELS_SETS_H_
