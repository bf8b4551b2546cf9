// Rows of a table as embeddings.
#ifndef TIED_KERNELS_GATHER_H_
#define TIED_KERNELS_GATHER_H_

#include <cstddef>

namespace tied::kernels {

// embedding[k] = row[k] * scale, k < cols; one rounding each, so any CPU gives the same bits.
void GatherRowF32(const float* row, size_t cols, float scale, float* embedding);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_GATHER_H_
