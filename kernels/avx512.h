// Vector operations for the loops of dot_float.h, on x86-64 with vectors of 64 bytes. In an unnamed namespace for the
// reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX512_H_
#define TIED_KERNELS_AVX512_H_

#include <cstddef>

#include "kernels/avx.h"

namespace tied::kernels {
namespace {

// Float rows. A tile has `rows` x `tokens` sums of `parts` registers each.
template <size_t rows, size_t tokens, size_t parts>
struct Avx512Float {
  using Vec = __m512;
  static constexpr size_t kWidth = 16;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;
  static constexpr size_t kParts = parts;

  static Vec Zero() { return _mm512_setzero_ps(); }
  static Vec Load(const float* p) { return KeepInRegister(_mm512_loadu_ps(p)); }
  static Vec Load(const Half* p) { return KeepInRegister(_mm512_cvtph_ps(Load32Bytes(p))); }
  static Vec Load(const BFloat16* p) {
    return KeepInRegister(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(Load32Bytes(p)), 16)));
  }
  static Vec LoadHidden(const float* p) { return kRows == 1 ? _mm512_loadu_ps(p) : Load(p); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static Vec Add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static float Sum(Vec lanes) {
    const __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(lanes), 1));
    return SumLanes(_mm256_add_ps(_mm512_castps512_ps256(lanes), upper));
  }
};

// One row times up to four tokens, all lanes: 16 sums, a row and a hidden vector of 32 bytes, or half as many of 64.
// Several tokens are faster with 32 on Zen 5, with 64 on Emerald Rapids, and one is so on both (docs/kernels.md).
using Avx512OneRow32 = AvxFloat<1, 4, 4>;
using Avx512OneRow64 = Avx512Float<1, 4, 2>;
// 6 x 4 sums, six rows and one vector of hidden states: 31 of 32 registers. A pass takes half of the lanes.
using Avx512ManyTokens = Avx512Float<6, 4, 1>;

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX512_H_
