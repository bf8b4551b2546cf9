// Vector operations for the loops of dot_blocks.h, on x86-64 with vectors of 64 bytes: sixteen blocks. In an unnamed
// namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX512_BLOCKS_H_
#define TIED_KERNELS_AVX512_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/avx_blocks.h"

namespace tied::kernels {
namespace {

// What does not depend on the stored integers.
struct Avx512BlockVectors {
  static constexpr size_t kGroupBlocks = 16;
  using Vec = __m512;
  using Ints = __m512i;

  // Four vectors of four blocks each are transposed within their quarters: lane 4 i + j belongs to block 4 j + i.
  static constexpr size_t BlockAt(size_t lane) { return lane % 4 * 4 + lane / 4; }
  static void TransposeParts(const Ints (&from)[4], Ints (&to)[4]) {
    const Ints low_a = _mm512_unpacklo_epi32(from[0], from[1]), high_a = _mm512_unpackhi_epi32(from[0], from[1]);
    const Ints low_b = _mm512_unpacklo_epi32(from[2], from[3]), high_b = _mm512_unpackhi_epi32(from[2], from[3]);
    to[0] = _mm512_unpacklo_epi64(low_a, low_b);
    to[1] = _mm512_unpackhi_epi64(low_a, low_b);
    to[2] = _mm512_unpacklo_epi64(high_a, high_b);
    to[3] = _mm512_unpackhi_epi64(high_a, high_b);
  }
  static Ints Load(const void* p) { return _mm512_loadu_si512(p); }
  // The first 64 of `bytes`, and zeros behind them.
  static Ints LoadFirst(const void* p, size_t bytes) {
    return _mm512_maskz_loadu_epi8(bytes >= 64 ? ~uint64_t{0} : (uint64_t{1} << bytes) - 1, p);
  }
  struct PlanePair {
    Ints of[kPlanes];
  };
  // From two vectors that hold two blocks of bytes each.
  static PlanePair SplitPlanes(Ints a, Ints b) {
    return {{_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd)}};
  }
  static PlanePair LoadPlanes(const uint8_t* p) { return SplitPlanes(Load(p), Load(p + sizeof(Ints))); }
  static PlanePair LoadFirstPlanes(const uint8_t* p, size_t bytes) {
    const size_t second = bytes > sizeof(Ints) ? bytes - sizeof(Ints) : 0;
    return SplitPlanes(LoadFirst(p, bytes), LoadFirst(p + sizeof(Ints), second));
  }
  static Ints ZeroInts() { return _mm512_setzero_si512(); }
  static Ints AllBytes(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  static Ints AllWords(int16_t word) { return _mm512_set1_epi16(word); }
  static Ints And(Ints a, Ints b) { return _mm512_and_si512(a, b); }
  static Ints Xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
  static Ints UpperHalves(Ints bytes) { return And(_mm512_srli_epi16(bytes, 4), AllBytes(15)); }
  static Ints EvenBytes(Ints bytes) { return _mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8); }
  static Ints OddBytes(Ints bytes) { return _mm512_srai_epi16(bytes, 8); }
  static Ints AddWords(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
  static Ints MulBytes(Ints a, Ints b) { return _mm512_maddubs_epi16(a, b); }
  static Ints MulAddWords(Ints a, Ints b, Ints sum) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }
  static Vec ToFloats(Ints ints) { return _mm512_cvtepi32_ps(ints); }

  static Vec Zero() { return _mm512_setzero_ps(); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static Vec InLaneOrder(Vec blocks) {
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), blocks);
  }
  static Vec InBlockOrder(Vec lanes) { return InLaneOrder(lanes); }
  template <bool whole>
  static Vec LoadScales(const float* p, size_t blocks) {
    return InLaneOrder(whole ? _mm512_loadu_ps(p) : _mm512_castsi512_ps(LoadFirst(p, blocks * sizeof *p)));
  }
  template <bool whole>
  static Vec LoadScales(const Half* p, size_t blocks) {
    const __m256i halves = whole ? Load32Bytes(p) : _mm512_castsi512_si256(LoadFirst(p, blocks * sizeof *p));
    return InLaneOrder(_mm512_cvtph_ps(halves));
  }
  // Bytes of the blocks in the order of lanes.
  template <bool whole>
  static __m128i LoadZeroPoints(const uint8_t* p, size_t blocks) {
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm_shuffle_epi8(whole ? Load16Bytes(p) : _mm512_castsi512_si128(LoadFirst(p, blocks)), order);
  }
  static Vec FloatsOfUnsigned(__m128i bytes) { return ToFloats(_mm512_cvtepu8_epi32(bytes)); }
  static Vec FloatsOfSigned(__m128i bytes) { return ToFloats(_mm512_cvtepi8_epi32(bytes)); }
  static Vec AllFloats(float value) { return _mm512_set1_ps(value); }
  static Vec SubtractProduct(Vec values, Vec zero_points, const float* totals) {
    return _mm512_fnmadd_ps(zero_points, _mm512_loadu_ps(totals), values);
  }
  static float Total(const Vec (&sums)[1]) {
    const Vec sum = InBlockOrder(sums[0]);
    const __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sum), 1));
    return SumLanes(_mm256_add_ps(_mm512_castps512_ps256(sum), upper));
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX512_BLOCKS_H_
