#include "kernels/gather.h"

#include <cstring>

#include "kernels/kernels.h"

namespace tied::kernels {

namespace {

template <class Element>
void GatherFloats(const Element* row, size_t cols, float scale, float* embedding) {
  for (size_t k = 0; k < cols; ++k) embedding[k] = Widen(row[k]) * scale;
}

template <class Byte>
void GatherBytes(const Byte* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding) {
  for (size_t k = 0; k < cols; ++k) embedding[k] = static_cast<float>(row[k] - zero_point) * row_scale * scale;
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
  GatherBytes(row, cols, zero_point, row_scale, scale, embedding);
}
void GatherRow(const uint8_t* row, size_t cols, int zero_point, float row_scale, float scale, float* embedding) {
  GatherBytes(row, cols, zero_point, row_scale, scale, embedding);
}

void GatherNibbles(const uint8_t* row, const float* block_scales, size_t cols, float scale, float* embedding) {
  for (size_t k = 0; k < cols; ++k) {
    const int nibble = row[k / 2] >> (k % 2 * 4) & 15;
    embedding[k] = static_cast<float>(nibble - 8) * block_scales[k / kBlockCols] * scale;
  }
}

}  // namespace tied::kernels
