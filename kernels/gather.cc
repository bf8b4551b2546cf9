#include "kernels/gather.h"

#include <algorithm>
#include <cstring>

namespace tied::kernels {

namespace {

template <class Element>
void GatherFloats(const Element* row, size_t cols, float scale, float* embedding) {
  for (size_t k = 0; k < cols; ++k) embedding[k] = Widen(row[k]) * scale;
}

template <class Element>
void GatherInts(const Element* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding) {
  for (size_t k = 0; k < cols; ++k)
    embedding[k] = static_cast<float>(IntegerAt(row, k) - zero_point) * row_scale * scale;
}

}  // namespace

void GatherRow(const float* row, size_t cols, float scale, float* embedding) {
  if (scale == 1.0f) {
    std::memcpy(embedding, row, cols * sizeof(float));
  } else {
    GatherFloats(row, cols, scale, embedding);
  }
}
void GatherRow(const Half* row, size_t cols, float scale, float* embedding) {
  GatherFloats(row, cols, scale, embedding);
}
void GatherRow(const BFloat16* row, size_t cols, float scale, float* embedding) {
  GatherFloats(row, cols, scale, embedding);
}

void GatherRow(const int8_t* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding) {
  GatherInts(row, cols, zero_point, row_scale, scale, embedding);
}
void GatherRow(const uint8_t* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding) {
  GatherInts(row, cols, zero_point, row_scale, scale, embedding);
}

void GatherNested(const NibblePair* upper, const NibblePair* lower, size_t cols, int offset, float row_scale,
                  float scale, float* embedding) {
  for (size_t k = 0; k < cols; ++k) {
    embedding[k] = static_cast<float>(16 * IntegerAt(upper, k) + IntegerAt(lower, k) - offset) * row_scale * scale;
  }
}

template <class Element>
void GatherBlocks(const Element* row, const BlocksView& blocks, size_t cols, float scale, float* embedding) {
  for (size_t block = 0; block * kBlockCols < cols; ++block) {
    const size_t first = block * kBlockCols;
    const size_t count = std::min(kBlockCols, cols - first);
    const Element* values = row + RowElements(row, first);
    const float zero_point = blocks.ZeroPoint(row, block), block_scale = blocks.Scale(block);
    for (size_t k = 0; k < count; ++k) {
      const float weight = static_cast<float>(IntegerAt(values, k) - Centre(row)) - zero_point;
      embedding[first + k] = weight * block_scale * scale;
    }
  }
}
template void GatherBlocks(const NibblePair*, const BlocksView&, size_t, float, float*);
template void GatherBlocks(const int8_t*, const BlocksView&, size_t, float, float*);
template void GatherBlocks(const uint8_t*, const BlocksView&, size_t, float, float*);

}  // namespace tied::kernels
