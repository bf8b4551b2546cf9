// Vector operations for the loops of dot_blocks.h, on x86-64 with vectors of 64 bytes: four blocks. In an unnamed
// namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX512_BLOCKS_H_
#define TIED_KERNELS_AVX512_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/dot_blocks.h"

namespace tied::kernels {
namespace {

// Pairs::Add(sum, a, b) adds two 16-bit products to each lane.
template <class Pairs>
struct Avx512Blocks {
  static constexpr size_t kStepBlocks = 4;
  // 2 x 4 sums, two rows of four registers, five of activations, two of scales.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kRowsOfOneToken = 2;
  using Vec = __m512;
  using Scales = __m512;
  struct Weights {
    __m512i of[4];
  };
  struct Activations {
    __m512i of[4], start;
  };

  template <class Stored>
  static void PackBlock(const int16_t* q, uint8_t* step, size_t block) {
    PackAsBlockWords<Stored, kStepBlocks>(q, step, block);
  }

  static Vec Zero() { return _mm512_setzero_ps(); }
  static Weights Unpack(Nibbles, __m512i four) {
    const __m512i mask = _mm512_set1_epi16(15);
    return {{_mm512_and_si512(four, mask), _mm512_and_si512(_mm512_srli_epi16(four, 4), mask),
             _mm512_and_si512(_mm512_srli_epi16(four, 8), mask), _mm512_srli_epi16(four, 12)}};
  }
  // a and b hold two blocks each: 16 bytes of the first plane, 16 of the second, and again.
  static Weights Unpack(Bytes, __m512i a, __m512i b, uint8_t flip) {
    const __m512i flips = _mm512_set1_epi8(static_cast<char>(flip));
    const __m512i first = _mm512_xor_si512(_mm512_shuffle_i64x2(a, b, 0x88), flips);
    const __m512i second = _mm512_xor_si512(_mm512_shuffle_i64x2(a, b, 0xdd), flips);
    return {{_mm512_srai_epi16(_mm512_slli_epi16(first, 8), 8), _mm512_srai_epi16(_mm512_slli_epi16(second, 8), 8),
             _mm512_srai_epi16(first, 8), _mm512_srai_epi16(second, 8)}};
  }
  // The first 64 of `bytes`, and zeros behind them.
  static __m512i LoadFirst(const void* p, size_t bytes) {
    return _mm512_maskz_loadu_epi8(bytes >= 64 ? ~uint64_t{0} : (uint64_t{1} << bytes) - 1, p);
  }
  static Weights Load(Nibbles stored, const uint8_t* p, uint8_t) { return Unpack(stored, _mm512_loadu_si512(p)); }
  static Weights Load(Bytes stored, const uint8_t* p, uint8_t flip) {
    return Unpack(stored, _mm512_loadu_si512(p), _mm512_loadu_si512(p + 64), flip);
  }
  static Weights LoadTail(Nibbles stored, const uint8_t* p, uint8_t, size_t bytes) {
    return Unpack(stored, LoadFirst(p, bytes));
  }
  static Weights LoadTail(Bytes stored, const uint8_t* p, uint8_t flip, size_t bytes) {
    return Unpack(stored, LoadFirst(p, bytes), LoadFirst(p + 64, bytes < 64 ? 0 : bytes - 64), flip);
  }
  static Activations LoadActivations(const uint8_t* p) {
    return {
        {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 64), _mm512_loadu_si512(p + 128), _mm512_loadu_si512(p + 192)},
        _mm512_loadu_si512(p + 256)};
  }
  static __m512i Parts(const Weights& w, const Activations& q) {
    __m512i sum = q.start;
    TIED_UNROLL for (size_t i = 0; i < 4; ++i) sum = Pairs::Add(sum, w.of[i], q.of[i]);
    return sum;
  }

  template <bool whole>
  static Scales LoadScales(const float* p, size_t blocks) {
    return whole ? _mm512_loadu_ps(p) : _mm512_castsi512_ps(LoadFirst(p, blocks * sizeof *p));
  }
  template <bool whole>
  static Scales LoadScales(const Half* p, size_t blocks) {
    return _mm512_cvtph_ps(whole ? Load32Bytes(p) : _mm512_castsi512_si256(LoadFirst(p, blocks * sizeof *p)));
  }
  template <size_t step>
  static Vec MulAdd(Scales scales, __m512i parts, Vec sum) {
    constexpr int kA = 4 * step, kB = kA + 1, kC = kA + 2, kD = kA + 3;
    const __m512i blocks = _mm512_setr_epi32(kA, kA, kA, kA, kB, kB, kB, kB, kC, kC, kC, kC, kD, kD, kD, kD);
    return _mm512_fmadd_ps(_mm512_permutexvar_ps(blocks, scales), _mm512_cvtepi32_ps(parts), sum);
  }

  // -(scale * zero point), one for each block.
  template <bool whole, class Stored>
  static Vec Offsets(Stored, Scales scales, const uint8_t* zero_points, uint8_t flip, size_t blocks) {
    const __m128i bytes = zero_points == nullptr ? _mm_setzero_si128()
                          : whole                ? Load16Bytes(zero_points)
                                                 : _mm512_castsi512_si128(LoadFirst(zero_points, blocks));
    Vec zeros;
    if constexpr (Stored::kCentre != 0) {
      const __m512i centred = _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(128));
      zeros = _mm512_mul_ps(_mm512_cvtepi32_ps(centred), _mm512_set1_ps(0x1p-4f));
    } else {
      const __m128i flipped = _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(flip)));
      zeros = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(flipped));
    }
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(_mm512_mul_ps(scales, zeros)), sign));
  }
  static Vec AddProduct(Vec offsets, const float* totals, Vec sum) {
    return _mm512_fmadd_ps(offsets, _mm512_loadu_ps(totals), sum);
  }
  static float Total(const Vec (&sums)[1]) {
    const __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sums[0]), 1));
    return SumLanes(_mm256_add_ps(_mm512_castps512_ps256(sums[0]), upper));
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX512_BLOCKS_H_
