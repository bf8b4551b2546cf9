// The definition of every result, in plain C++. The vector kernels must give the same bits.
//
// Dot product of row w and hidden x, n columns:
//   1. kLanes = 8 sums s[0..7] start at +0.
//   2. For k = 0, 1, …, up to the next multiple of 8:  s[k mod 8] = fma(w[k], x[k], s[k mod 8]),
//      where w[k] = x[k] = +0 for k >= n.
//   3. s[j] += s[j + 4] for j < 4; s[j] += s[j + 2] for j < 2; the result is s[0] + s[1].
//   fma and + round to nearest, ties to even, and keep subnormal numbers.
#include <cmath>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

void Pack(const float* hidden, size_t tokens, size_t cols, float* packed) {
  const size_t padded = PackedHiddenSize(1, cols);
  std::memset(packed, 0, tokens * padded * sizeof(float));
  for (size_t t = 0; t < tokens; ++t) std::memcpy(packed + t * padded, hidden + t * cols, cols * sizeof(float));
}

float DotRow(const float* row, const float* hidden, size_t cols) {
  float sum[kLanes] = {};
  const size_t padded = PackedHiddenSize(1, cols);
  for (size_t k = 0; k < padded; ++k) {
    const float weight = k < cols ? row[k] : 0.0f;
    sum[k % kLanes] = std::fma(weight, hidden[k], sum[k % kLanes]);
  }
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) sum[j] += sum[j + half];
  }
  return sum[0];
}

bool Available() { return true; }

}  // namespace

void DotF32Scalar(const float* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride) {
  const size_t padded = PackedHiddenSize(1, cols);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) {
      logits[t * logits_stride + r] = DotRow(rows + r * cols, packed + t * padded, cols);
    }
  }
}

const Kernels kScalar = {"scalar", Available, Pack, DotF32Scalar, /*xnnpack_min_tokens=*/4};

}  // namespace tied::kernels
