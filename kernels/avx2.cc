// x86-64 with AVX2 and FMA.
#include <cpuinfo.h>
#include <immintrin.h>

#include "kernels/dot_f32.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

struct Avx2 {
  using Vec = __m256;
  static constexpr size_t kWidth = 8;
  // 3 x 2 sums of two registers each, three rows and one hidden vector: all 16 registers. Measured ahead of 2 x 3.
  static constexpr size_t kRows = 3;
  static constexpr size_t kTokens = 2;

  // GCC would read memory again for each use of a vector; the load ports are what limits a tile.
  static Vec Held(Vec v) {
    __asm__("" : "+x"(v));
    return v;
  }
  static Vec Zero() { return _mm256_setzero_ps(); }
  static Vec Load(const float* p) { return Held(_mm256_loadu_ps(p)); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static float Sum(const Vec (&lanes)[2]) {
    const __m256 eight = _mm256_add_ps(lanes[0], lanes[1]);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3(); }

}  // namespace

const Kernels kAvx2 = {"avx2", Available, DotF32<Avx2>::Pack, DotF32<Avx2>::Dot};

}  // namespace tied::kernels
