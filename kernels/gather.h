// Converts rows of a table to embeddings. Each multiplication below rounds once, so every CPU gives the same bits.
#ifndef TIED_KERNELS_GATHER_H_
#define TIED_KERNELS_GATHER_H_

#include <cstddef>
#include <cstdint>

#include "kernels/float_formats.h"
#include "kernels/int_formats.h"

namespace tied::kernels {

// embedding[k] = row[k] * scale, k < cols.
void GatherRow(const float* row, size_t cols, float scale, float* embedding);
void GatherRow(const Half* row, size_t cols, float scale, float* embedding);
void GatherRow(const BFloat16* row, size_t cols, float scale, float* embedding);

// embedding[k] = (row[k] - zero_point) * row_scale * scale, evaluated from the left.
void GatherRow(const int8_t* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding);
void GatherRow(const uint8_t* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding);

// embedding[k] = (16 * upper[k] + lower[k] - offset) * row_scale * scale, evaluated from the left.
void GatherNested(const NibblePair* upper, const NibblePair* lower, size_t cols, int offset, float row_scale,
                  float scale, float* embedding);

// embedding[k] = (row[k] - zero point of its block) * scale of its block * scale, evaluated from the left.
// The difference is exact. Element: NibblePair, int8_t or uint8_t.
template <class Element>
void GatherBlocks(const Element* row, const BlocksView& blocks, size_t cols, float scale, float* embedding);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_GATHER_H_
