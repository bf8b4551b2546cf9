// x86-64 with AVX-512 F.
#include <cpuinfo.h>
#include <immintrin.h>

#include "kernels/dot_f32.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

struct Avx512 {
  using Vec = __m512;
  static constexpr size_t kWidth = 16;
  // 4 x 6 sums, four rows and one hidden vector: 29 of 32 registers.
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 6;

  static Vec Zero() { return _mm512_setzero_ps(); }
  static Vec Load(const float* p) { return _mm512_loadu_ps(p); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static float Sum(const Vec (&lanes)[1]) {
    // AVX-512 F extracts halves only as doubles; the bits are the same. The masked form keeps GCC 12 from warning of
    // the undefined register in its own header.
    const __m512d both = _mm512_castps_pd(lanes[0]);
    const __m256d lower = _mm512_maskz_extractf64x4_pd(0xFF, both, 0);
    const __m256d upper = _mm512_maskz_extractf64x4_pd(0xFF, both, 1);
    const __m256 eight = _mm256_add_ps(_mm256_castpd_ps(lower), _mm256_castpd_ps(upper));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

bool Available() { return cpuinfo_has_x86_avx512f(); }

}  // namespace

const Kernels kAvx512 = {"avx512", Available, DotF32<Avx512>::Pack, DotF32<Avx512>::Dot};

}  // namespace tied::kernels
