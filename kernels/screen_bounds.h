// Upper bounds of logits from sums over nibbles, in plain C++ that compilers vectorise for each instruction set, with
// the same bits. runtime/compute/screen.h and partial_screen.h derive the bounds. In an unnamed namespace for the
// reason given in dot_float.h.
#ifndef TIED_KERNELS_SCREEN_BOUNDS_H_
#define TIED_KERNELS_SCREEN_BOUNDS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace tied::kernels {
namespace {

// The loops read local copies of the terms, which stores cannot change: otherwise compilers do not vectorise them.
inline void BoundFromUpper(const BoundTerms& terms, const BoundRows& rows, size_t count, float* __restrict middles,
                           float* __restrict uppers, float* __restrict far) {
  const BoundTerms of = terms;
  const uint32_t* const sums = rows.sums;
  const float *const offsets = rows.offsets, *const scales = rows.scales, *const norms = rows.upper_norms;
  for (size_t r = 0; r < count; ++r) {
    const float sum = static_cast<float>(CentredSum(sums[r], of.eight_totals)) + offsets[r];
    const float residual = norms[r] * of.unread_norm + of.tiny;
    const float middle = scales[r] * (of.scale * sum);
    middles[r] = middle;
    uppers[r] = middle + (__builtin_fabsf(scales[r]) * of.slack + residual);
    far[r] = __builtin_fabsf(scales[r]) * of.reach + residual;
  }
}

// The share of |D|^2 that was read has at most 14 roundings of numbers up to 1.
inline void BoundFromPart(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                          float* __restrict uppers, float* __restrict far) {
  constexpr float kShareRounding = 0x1p-19f;
  // Beyond these norms, a share may overflow or be subnormal.
  constexpr float kLeastNorm = 0x1p-100f, kMostNorm = 0x1p100f;
  const BoundTerms of = terms;
  const LowerSums part = lower;
  const uint32_t *const sums = rows.sums, *const lower_sums = lower.sums, *const spreads = lower.spreads;
  const float *const offsets = rows.offsets, *const scales = rows.scales;
  const float *const norms = rows.norms, *const upper_norms = rows.upper_norms;
  for (size_t r = 0; r < count; ++r) {
    const auto in_part = static_cast<float>(CentredSum(lower_sums[r], part.eight_totals));
    const float sum =
        static_cast<float>(CentredSum(sums[r], of.eight_totals)) + (in_part / 16 + (offsets[r] + part.half_total));
    const float scale = __builtin_fabsf(scales[r]), norm = norms[r], whole = upper_norms[r];
    const float spread = __builtin_sqrtf(8 * static_cast<float>(static_cast<int32_t>(spreads[r])) + part.masked);
    const float read = scale * (0.5f * spread) - norm;
    const float quotient = read / whole;
    float share = read > 0 ? quotient : 0.0f;
    share = norm <= whole ? share : 0.0f;
    share = whole > kLeastNorm ? share : 0.0f;
    share = whole < kMostNorm ? share : 0.0f;
    const float rest = (1 + kShareRounding) - share * share;
    const float unread = whole * __builtin_sqrtf(rest > 0 ? rest : 0.0f);
    const float residual = (unread * of.unread_norm + norm * part.read_norm) + of.tiny;
    uppers[r] = scales[r] * (of.scale * sum) + (scale * of.slack + residual);
    far[r] = scale * of.reach + residual;
  }
}

inline float Largest(const float* values, size_t count) {
  constexpr size_t kLargestLanes = 16;
  float largest[kLargestLanes];
  for (float& lane : largest) lane = -INFINITY;
  size_t i = 0;
  for (; i + kLargestLanes <= count; i += kLargestLanes) {
    for (size_t j = 0; j < kLargestLanes; ++j) largest[j] = values[i + j] > largest[j] ? values[i + j] : largest[j];
  }
  for (; i < count; ++i) largest[0] = values[i] > largest[0] ? values[i] : largest[0];
  for (const float lane : largest) largest[0] = lane > largest[0] ? lane : largest[0];
  return largest[0];
}

// The comparisons are false for NaN, too.
inline float Finished(float upper, float upper_norm, float far, float farthest) {
  upper = far < farthest ? upper : INFINITY;
  upper = upper_norm >= 0 ? upper : INFINITY;
  return upper <= INFINITY ? upper : INFINITY;
}

inline float FinishBounds(const float* upper_norms, const float* far, float farthest, size_t count,
                          float* __restrict uppers) {
  constexpr size_t kLargestLanes = 16;
  float largest[kLargestLanes];
  for (float& lane : largest) lane = -INFINITY;
  size_t i = 0;
  for (; i + kLargestLanes <= count; i += kLargestLanes) {
    for (size_t j = 0; j < kLargestLanes; ++j) {
      const float upper = Finished(uppers[i + j], upper_norms[i + j], far[i + j], farthest);
      uppers[i + j] = upper;
      largest[j] = upper > largest[j] ? upper : largest[j];
    }
  }
  for (; i < count; ++i) {
    uppers[i] = Finished(uppers[i], upper_norms[i], far[i], farthest);
    largest[0] = uppers[i] > largest[0] ? uppers[i] : largest[0];
  }
  for (const float lane : largest) largest[0] = lane > largest[0] ? lane : largest[0];
  return largest[0];
}

struct ScreenBounds {
  static constexpr BoundKernels kKernels = {BoundFromUpper, BoundFromPart, FinishBounds, Largest};
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_SCREEN_BOUNDS_H_
