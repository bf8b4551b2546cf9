// Vectors of eight floats on x86-64, as AVX2 and AVX-512 VL have them; the latter has twice as many registers.
// In an unnamed namespace for the reason given in dot_f32.h.
#ifndef TIED_KERNELS_AVX_H_
#define TIED_KERNELS_AVX_H_

#include <immintrin.h>

#include <cstddef>

namespace tied::kernels {
namespace {

// What DotF32 asks of an instruction set, with tiles of `rows` times `tokens` sums of one register each.
template <size_t rows, size_t tokens>
struct Avx {
  using Vec = __m256;
  static constexpr size_t kWidth = 8;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;

  // GCC would read memory again for each use of a vector; the load ports are what limits a tile.
  static Vec Held(Vec v) {
    __asm__("" : "+v"(v));
    return v;
  }
  static Vec Zero() { return _mm256_setzero_ps(); }
  static Vec Load(const float* p) { return Held(_mm256_loadu_ps(p)); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static float Sum(const Vec (&lanes)[1]) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes[0]), _mm256_extractf128_ps(lanes[0], 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX_H_
