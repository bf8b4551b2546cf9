// Vector operations for the loops of dot_blocks.h, on x86-64 with vectors of 32 bytes: two blocks. Weights are 16 bits
// wide, so that an instruction adds two products to each lane and activations need no split into upper and lower bytes.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX_BLOCKS_H_
#define TIED_KERNELS_AVX_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/dot_blocks.h"

namespace tied::kernels {
namespace {

template <size_t rows, size_t tokens>
struct AvxBlocks {
  static constexpr size_t kStepBlocks = 2;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;
  static constexpr size_t kRowsOfOneToken = 2;
  using Vec = __m256;
  using Scales = __m256;
  struct Weights {
    __m256i of[4];
  };

  template <class Stored>
  static void PackBlock(const int16_t* q, uint8_t* step, size_t block) {
    PackAsBlockWords<Stored, kStepBlocks>(q, step, block);
  }

  static Vec Zero() { return _mm256_setzero_ps(); }
  static Weights Load(Nibbles, const uint8_t* p, uint8_t) {
    const __m256i four = Load32Bytes(p), mask = _mm256_set1_epi16(15);
    return {{_mm256_and_si256(four, mask), _mm256_and_si256(_mm256_srli_epi16(four, 4), mask),
             _mm256_and_si256(_mm256_srli_epi16(four, 8), mask), _mm256_srli_epi16(four, 12)}};
  }
  static Weights Load(Bytes, const uint8_t* p, uint8_t flip) {
    const __m256i flips = _mm256_set1_epi8(static_cast<char>(flip));
    const __m256i a = _mm256_xor_si256(Load32Bytes(p), flips), b = _mm256_xor_si256(Load32Bytes(p + 32), flips);
    const __m256i first = _mm256_permute2x128_si256(a, b, 0x20), second = _mm256_permute2x128_si256(a, b, 0x31);
    return {{_mm256_srai_epi16(_mm256_slli_epi16(first, 8), 8), _mm256_srai_epi16(_mm256_slli_epi16(second, 8), 8),
             _mm256_srai_epi16(first, 8), _mm256_srai_epi16(second, 8)}};
  }
  template <class Stored>
  static Weights LoadTail(Stored stored, const uint8_t* p, uint8_t flip, size_t bytes) {
    uint8_t tail[kStepBlocks * Stored::kBlockBytes];
    CopyTail(p, bytes, tail);
    return Load(stored, tail, flip);
  }
  static const uint8_t* LoadActivations(const uint8_t* p) { return p; }
  static __m256i Parts(const Weights& w, const uint8_t* q) {
    const __m256i even =
        _mm256_add_epi32(_mm256_madd_epi16(w.of[0], Load32Bytes(q)), _mm256_madd_epi16(w.of[1], Load32Bytes(q + 32)));
    const __m256i odd = _mm256_add_epi32(_mm256_madd_epi16(w.of[2], Load32Bytes(q + 64)),
                                         _mm256_madd_epi16(w.of[3], Load32Bytes(q + 96)));
    return _mm256_add_epi32(_mm256_add_epi32(even, Load32Bytes(q + 128)), odd);
  }

  template <bool whole>
  static Scales LoadScales(const float* p, size_t blocks) {
    if constexpr (whole) return _mm256_loadu_ps(p);
    float tail[8];
    CopyTail(p, blocks, tail);
    return _mm256_loadu_ps(tail);
  }
  template <bool whole>
  static Scales LoadScales(const Half* p, size_t blocks) {
    if constexpr (whole) return _mm256_cvtph_ps(Load16Bytes(p));
    Half tail[8];
    CopyTail(p, blocks, tail);
    return _mm256_cvtph_ps(Load16Bytes(tail));
  }
  template <size_t step>
  static Vec MulAdd(Scales scales, __m256i parts, Vec sum) {
    constexpr int kFirst = 2 * step, kSecond = kFirst + 1;
    const __m256i blocks = _mm256_setr_epi32(kFirst, kFirst, kFirst, kFirst, kSecond, kSecond, kSecond, kSecond);
    return _mm256_fmadd_ps(_mm256_permutevar8x32_ps(scales, blocks), _mm256_cvtepi32_ps(parts), sum);
  }

  // -(scale * zero point), one for each block.
  template <bool whole, class Stored>
  static Vec Offsets(Stored, Scales scales, const uint8_t* zero_points, uint8_t flip, size_t blocks) {
    uint8_t bytes[8] = {};
    if (zero_points != nullptr) CopyTail(zero_points, whole ? sizeof bytes : blocks, bytes);
    const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
    Vec zeros;
    if constexpr (Stored::kCentre != 0) {
      const __m256i centred = _mm256_sub_epi32(_mm256_cvtepu8_epi32(eight), _mm256_set1_epi32(128));
      zeros = _mm256_mul_ps(_mm256_cvtepi32_ps(centred), _mm256_set1_ps(0x1p-4f));
    } else {
      const __m128i flipped = _mm_xor_si128(eight, _mm_set1_epi8(static_cast<char>(flip)));
      zeros = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(flipped));
    }
    return _mm256_xor_ps(_mm256_mul_ps(scales, zeros), _mm256_set1_ps(-0.0f));
  }
  static Vec AddProduct(Vec offsets, const float* totals, Vec sum) {
    return _mm256_fmadd_ps(offsets, _mm256_loadu_ps(totals), sum);
  }
  static float Total(const Vec (&sums)[2]) { return SumLanes(_mm256_add_ps(sums[0], sums[1])); }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX_BLOCKS_H_
