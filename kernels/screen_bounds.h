// Upper bounds of logits from sums over nibbles, in plain C++ that compilers vectorise for each instruction set, with
// the same bits. runtime/compute/screen.h and partial_screen.h derive the bounds. In an unnamed namespace for the
// reason given in dot_float.h.
#ifndef TIED_KERNELS_SCREEN_BOUNDS_H_
#define TIED_KERNELS_SCREEN_BOUNDS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/loops.h"

namespace tied::kernels {
namespace {

// Rows of which the parts of bounds are kept in the L1 cache.
inline constexpr size_t kBoundRows = 256;

// An upper bound is middle + error, unless an intermediate sum may be as large as `far`.
struct BoundParts {
  float middles[kBoundRows];
  float errors[kBoundRows];
  float far[kBoundRows];
};

// The loops read local copies of the terms, which stores cannot change: otherwise compilers do not vectorise them.
template <bool with_lower>
inline void PartsOfWholeRows(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                             BoundParts* __restrict parts) {
  const BoundTerms of = terms;
  const LowerSums whole = lower;
  const uint32_t *const sums = rows.sums, *const lower_sums = whole.sums;
  const float *const offsets = rows.offsets, *const scales = rows.scales;
  const float* const norms = with_lower ? rows.norms : rows.upper_norms;
  const float norm = with_lower ? whole.read_norm : of.unread_norm;
  for (size_t r = 0; r < count; ++r) {
    float low = offsets[r];
    if (with_lower) {
      low = static_cast<float>(CentredSum(lower_sums[r], whole.eight_totals)) / 16 + (offsets[r] + whole.half_total);
    }
    const float sum = static_cast<float>(CentredSum(sums[r], of.eight_totals)) + low;
    const float residual = norms[r] * norm + of.tiny, scale = __builtin_fabsf(scales[r]);
    parts->middles[r] = scales[r] * (of.scale * sum);
    parts->errors[r] = scale * of.slack + residual;
    parts->far[r] = scale * of.reach + residual;
  }
}

// The share of |D|^2 that was read has at most 14 roundings of numbers up to 1.
inline void PartsOfPartialRows(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                               BoundParts* __restrict parts) {
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
    parts->middles[r] = scales[r] * (of.scale * sum);
    parts->errors[r] = scale * of.slack + residual;
    parts->far[r] = scale * of.reach + residual;
  }
}

inline void AddColumns(const BoundTerms& terms, const BoundRows& rows, size_t count, BoundParts* __restrict parts) {
  const BoundTerms of = terms;
  const int32_t* const sums = rows.column_sums;
  const float* const scales = rows.column_scales;
  for (size_t r = 0; r < count; ++r) {
    const float scale = __builtin_fabsf(scales[r]);
    parts->middles[r] += scales[r] * (of.scale / 16 * static_cast<float>(sums[r]));
    parts->errors[r] += scale * of.column_slack;
    parts->far[r] += scale * of.reach;
  }
}

inline void AddBiases(const float* biases, size_t count, BoundParts* __restrict parts) {
  constexpr auto kRounding = static_cast<float>(kFloatRounding);
  for (size_t r = 0; r < count; ++r) {
    parts->middles[r] += biases[r];
    parts->errors[r] += __builtin_fabsf(biases[r]) * kRounding;
  }
}

// The comparisons are false for NaN, too.
inline void FinishBounds(const BoundParts& parts, const float* upper_norms, float farthest, size_t count,
                         float* __restrict uppers) {
  for (size_t r = 0; r < count; ++r) {
    float upper = parts.middles[r] + parts.errors[r];
    upper = parts.far[r] < farthest ? upper : INFINITY;
    upper = upper_norms[r] >= 0 ? upper : INFINITY;
    uppers[r] = upper <= INFINITY ? upper : INFINITY;
  }
}

// Calls set_parts(rows, lower, count, parts) for a few rows at a time.
template <class SetParts>
inline void Bound(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                  const SetParts& set_parts, float* middles, float* uppers) {
  BoundParts parts;
  for (size_t first = 0; first < count; first += kBoundRows) {
    const size_t some = count - first < kBoundRows ? count - first : kBoundRows;
    const BoundRows from = rows.From(first);
    LowerSums of_lower = lower;
    if (of_lower.sums != nullptr) of_lower.sums += first;
    if (of_lower.spreads != nullptr) of_lower.spreads += first;
    set_parts(from, of_lower, some, &parts);
    if (from.column_sums != nullptr) AddColumns(terms, from, some, &parts);
    if (from.biases != nullptr) AddBiases(from.biases, some, &parts);
    FinishBounds(parts, from.upper_norms, terms.farthest, some, uppers + first);
    if (middles == nullptr) continue;
    for (size_t r = 0; r < some; ++r) middles[first + r] = parts.middles[r];
  }
}

inline void BoundFromUpper(const BoundTerms& terms, const BoundRows& rows, size_t count, float* middles,
                           float* uppers) {
  const auto set_parts = [&](const BoundRows& from, const LowerSums& lower, size_t some, BoundParts* parts) {
    PartsOfWholeRows<false>(terms, from, lower, some, parts);
  };
  Bound(terms, rows, LowerSums(), count, set_parts, middles, uppers);
}

inline void BoundFromPart(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                          float* uppers) {
  const auto set_parts = [&](const BoundRows& from, const LowerSums& part, size_t some, BoundParts* parts) {
    PartsOfPartialRows(terms, from, part, some, parts);
  };
  Bound(terms, rows, lower, count, set_parts, nullptr, uppers);
}

inline void BoundFromBoth(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                          float* uppers) {
  const auto set_parts = [&](const BoundRows& from, const LowerSums& whole, size_t some, BoundParts* parts) {
    PartsOfWholeRows<true>(terms, from, whole, some, parts);
  };
  Bound(terms, rows, lower, count, set_parts, nullptr, uppers);
}

// Columns::FourRows(rows, columns, sums) multiplies the calibrated columns of four rows.
template <class Columns>
void ColumnSums(const int8_t* values, const uint32_t* ids, size_t count, const int16_t* columns, int32_t* sums) {
  constexpr size_t kFour = 4;
  const auto row = [&](size_t r) { return values + (ids == nullptr ? r : size_t{ids[r]}) * kBoundColumns; };
  size_t r = 0;
  for (; r + kFour <= count; r += kFour) {
    Columns::FourRows({row(r), row(r + 1), row(r + 2), row(r + 3)}, columns, sums + r);
  }
  for (; r < count; ++r) {
    int32_t four[kFour];
    Columns::FourRows({row(r), row(r), row(r), row(r)}, columns, four);
    sums[r] = four[0];
  }
}

// With a vector type, because GCC 12 does not vectorise the loop over an array of lanes. Not on ARMv7, whose vectors
// would take subnormal numbers for zero.
inline float Largest(const float* values, size_t count) {
#if defined(__arm__)
  using Vector = float;
#else
  using Vector = float __attribute__((vector_size(64)));
#endif
  constexpr size_t kLanes = sizeof(Vector) / sizeof(float);
  float lanes[kLanes];
  for (float& lane : lanes) lane = -INFINITY;
  Vector largest, next;
  std::memcpy(&largest, lanes, sizeof lanes);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    std::memcpy(&next, values + i, sizeof next);
    largest = next > largest ? next : largest;
  }
  std::memcpy(lanes, &largest, sizeof lanes);
  for (; i < count; ++i) lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
  TIED_UNROLL for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) lanes[j] = lanes[j + half] > lanes[j] ? lanes[j + half] : lanes[j];
  }
  return lanes[0];
}

template <class Columns>
constexpr BoundKernels kBoundKernels = {BoundFromUpper, BoundFromPart, BoundFromBoth, ColumnSums<Columns>, Largest};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_SCREEN_BOUNDS_H_
