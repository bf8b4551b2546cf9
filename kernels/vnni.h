// What dot_int.h asks of an instruction set, on x86-64 with AVX-512 VNNI: four products of an unsigned and a signed
// byte a lane. Weights are made unsigned by adding 128 or 8, which the sums of the steps take away again.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_VNNI_H_
#define TIED_KERNELS_VNNI_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/dot_int.h"

namespace tied::kernels {
namespace {

// Rows of bytes, steps as halves.
struct VnniInt {
  using Weights = __m512i;
  struct Steps {
    __m512i upper, lower;
  };
  struct Sum {
    __m512i upper, lower;
  };
  static constexpr size_t kWidth = 64;
  static constexpr size_t kParts = 1;
  // 2 x 4 tiles of two sums each, two rows and two vectors of steps: 20 of 32 registers.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  // A lane takes four products of 64 columns, each at most 255 * 128, and Total() adds two lanes.
  static constexpr size_t kMaxCols = size_t{1} << 18;
  static_assert(kMaxCols / kWidth * 4 * 255 * 128 * 2 <= INT32_MAX);

  static Sum Zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static Weights LoadWeights(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static Weights LoadWeights(const int8_t* p) {
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
  }
  static Steps LoadSteps(const uint8_t* p) { return {_mm512_loadu_si512(p), _mm512_loadu_si512(p + kWidth)}; }
  static void Add(Weights w, const Steps& q, Sum& sum) {
    sum.upper = _mm512_dpbusd_epi32(sum.upper, w, q.upper);
    sum.lower = _mm512_dpbusd_epi32(sum.lower, w, q.lower);
  }
  static double Total(__m512i lanes) {
    return AddAll(_mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1)));
  }
  static double Total(const Sum& sum) { return 256 * Total(sum.upper) + Total(sum.lower); }
  static double Excess(const uint8_t*) { return 0; }
  static double Excess(const int8_t*) { return 128; }
};

// Four-bit rows. A block of packed steps: 32 upper halves, 32 lower ones, and for each lane what to start from.
struct VnniNibbles {
  using Weights = __m256i;
  using Sum = __m256;
  static constexpr size_t kStepBytes = 96;
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;

  static void Pack(const int16_t* steps, size_t tokens, size_t cols, void* packed) {
    auto* to = static_cast<int8_t*>(packed);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t first = 0; first < PaddedCols(cols); first += kBlockCols, to += kStepBytes) {
        int16_t block[kBlockCols] = {};
        for (size_t k = first; k < cols && k < first + kBlockCols; ++k) block[k - first] = steps[t * cols + k];
        PackBlock(block, to);
      }
    }
  }
  static void PackBlock(const int16_t* q, int8_t* to) {
    int32_t start[kLanes] = {};
    for (size_t k = 0; k < kBlockCols; ++k) {
      SplitStep(q[k], to + k, to + kBlockCols + k);
      start[k / 4] -= 8 * q[k];
    }
    std::memcpy(to + 2 * kBlockCols, start, sizeof start);
  }

  static Sum Zero() { return _mm256_setzero_ps(); }
  // Byte i becomes the bytes 2i, its lower nibble, and 2i + 1: columns in their order.
  static Weights LoadWeights(const uint8_t* p) {
    const __m256i both = _mm256_cvtepu8_epi16(Load16Bytes(p));
    return _mm256_and_si256(_mm256_or_si256(both, _mm256_slli_epi16(both, 4)), _mm256_set1_epi8(15));
  }
  static void Add(Weights w, const uint8_t* q, float scale, Sum& sum) {
    const __m256i upper = _mm256_dpbusd_epi32(_mm256_setzero_si256(), w, Load32Bytes(q));
    const __m256i lower = _mm256_dpbusd_epi32(Load32Bytes(q + 64), w, Load32Bytes(q + 32));
    const __m256i part = _mm256_add_epi32(_mm256_slli_epi32(upper, 8), lower);
    sum = _mm256_fmadd_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(part), sum);
  }
  static float Total(Sum sum) { return SumLanes(sum); }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_VNNI_H_
