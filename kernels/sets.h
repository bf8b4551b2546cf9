// The sets of kernels, one for each file of an instruction set. Only the table in kernels.cc and those files see them.
#ifndef TIED_KERNELS_SETS_H_
#define TIED_KERNELS_SETS_H_

#include "kernels/kernels.h"

namespace tied::kernels {

extern const Kernels kScalar;
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kNeon;

// The scalar dot product, for a set that must fall back on it. Reads hidden as the scalar set packs it.
void DotF32Scalar(const float* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_SETS_H_
