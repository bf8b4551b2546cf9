// Vector operations for the loops of dot_float.h, on x86-64 with vectors of 64 bytes. Each holds the lanes of two
// tokens. In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX512_H_
#define TIED_KERNELS_AVX512_H_

#include <cstddef>

#include "kernels/avx.h"

namespace tied::kernels {
namespace {

struct Avx512Float {
  using Vec = __m512;
  static constexpr size_t kWidth = 16;
  // 4 x 8 sums, two per register, four rows and one vector of hidden states: 21 of 32 registers.
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 8;

  static Vec Zero() { return _mm512_setzero_ps(); }
  static Vec Twice(__m256 row) {
    return KeepInRegister(_mm512_castpd_ps(_mm512_broadcast_f64x4(_mm256_castps_pd(row))));
  }
  static Vec Load(const float* p) { return Twice(_mm256_loadu_ps(p)); }
  static Vec Load(const Half* p) { return Twice(AvxFloat<1, 1>::Load(p)); }
  static Vec Load(const BFloat16* p) { return Twice(AvxFloat<1, 1>::Load(p)); }
  static Vec LoadHidden(const float* p) { return KeepInRegister(_mm512_loadu_ps(p)); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static float Sum(const Vec (&lanes)[1], size_t token) {
    return SumLanes(token == 0 ? _mm512_castps512_ps256(lanes[0])
                               : _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(lanes[0]), 1)));
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX512_H_
