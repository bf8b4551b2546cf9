#include "kernels/gather.h"

#include <cstring>

namespace tied::kernels {

void GatherRowF32(const float* row, size_t cols, float scale, float* embedding) {
  if (scale == 1.0f) {
    std::memcpy(embedding, row, cols * sizeof(float));
    return;
  }
  for (size_t k = 0; k < cols; ++k) embedding[k] = row[k] * scale;
}

}  // namespace tied::kernels
