// Vector operations for the loops of dot_int.h, on x86-64 with AVX-512 VNNI, which adds four products of an unsigned
// and a signed byte to each lane. Signed weights are made unsigned by adding 128, which is subtracted from the result
// again by means of the sums of the activations. In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_VNNI_H_
#define TIED_KERNELS_VNNI_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/dot_int.h"

namespace tied::kernels {
namespace {

// Rows of bytes, activations split into upper and lower bytes.
struct VnniInt {
  using Weights = __m512i;
  struct Activations {
    __m512i upper, lower;
  };
  struct Sum {
    __m512i upper, lower;
  };
  static constexpr size_t kWidth = 64;
  static constexpr PackActivations* kPack = PackAsSplitBytes<kWidth>;
  static constexpr size_t kParts = 1;
  // 2 x 4 tiles of two sums each, two rows and two vectors of activations: 20 of 32 registers.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  // A lane adds four products for every 64 columns, each at most 255 * 128, and Total() adds two lanes.
  static constexpr size_t kMaxCols = size_t{1} << 18;
  static_assert(kMaxCols / kWidth * 4 * 255 * 128 * 2 <= INT32_MAX);

  static Sum Zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static Weights LoadWeights(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static Weights LoadWeights(const int8_t* p) {
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
  }
  static Activations LoadActivations(const uint8_t* p) {
    return {_mm512_loadu_si512(p), _mm512_loadu_si512(p + kWidth)};
  }
  static void Add(Weights w, const Activations& q, Sum& sum) {
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

// Rows in blocks: two 16-bit products per lane. For 32 columns that needs no more instructions than bytes, and there
// are no upper and lower sums to combine.
struct VnniBlocks : AvxBlocks<2, 4> {
  static void Add(const Weights& w, const uint8_t* q, float scale, Sum& sum) {
    const __m256i even = _mm256_dpwssd_epi32(_mm256_setzero_si256(), w.even, Load32Bytes(q));
    AddScaled(_mm256_dpwssd_epi32(even, w.odd, Load32Bytes(q + 32)), scale, sum);
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_VNNI_H_
