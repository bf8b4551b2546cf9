// Vector operations for the loops of dot_int.h, on x86-64 with AVX-512 VNNI, which adds four products of an unsigned
// and a signed byte to each lane. Signed weights are made unsigned by adding 128, which is subtracted from the result
// again by means of the sums of the activations. In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_VNNI_H_
#define TIED_KERNELS_VNNI_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/avx512_blocks.h"
#include "kernels/dot_blocks.h"
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
  static constexpr size_t kPartsOfOneRow = 2;
  static constexpr bool kPairs = false;
  static constexpr size_t kTokensOfOneRow = 4;
  // 2 x 4 tiles of two sums each, two rows and two vectors of activations: 20 of 32 registers.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  // A lane adds four products for every 64 columns, each at most 255 * 128, and Total() adds eight lanes.
  static constexpr size_t kMaxCols = size_t{1} << 16;
  static_assert(kMaxCols / kWidth * 4 * 255 * 128 * 8 <= INT32_MAX);

  static Sum Zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static Weights LoadWeights(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static Weights LoadWeights(const int8_t* p) {
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
  }
  static Activations LoadActivations(const uint8_t* p) {
    return {_mm512_loadu_si512(p), _mm512_loadu_si512(p + kWidth)};
  }
  static void Add(Weights w, const Activations& q, Sum& sum) {
    sum.upper = KeepInRegister(_mm512_dpbusd_epi32(sum.upper, w, q.upper));
    sum.lower = KeepInRegister(_mm512_dpbusd_epi32(sum.lower, w, q.lower));
  }
  static Sum Join(const Sum& a, const Sum& b) {
    return {_mm512_add_epi32(a.upper, b.upper), _mm512_add_epi32(a.lower, b.lower)};
  }
  static __m256i AddHalves(__m512i lanes) {
    return _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
  }
  static double Total(const Sum& sum) {
    const __m256i pairs = _mm256_hadd_epi32(AddHalves(sum.upper), AddHalves(sum.lower));
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    const __m256d scaled = _mm256_mul_pd(_mm256_cvtepi32_pd(four), _mm256_setr_pd(256, 256, 1, 1));
    return AddAll(scaled);
  }
  static double Excess(const uint8_t*) { return 0; }
  static double Excess(const int8_t*) { return 128; }
};

// Rows in blocks. Signed bytes are made unsigned, too.
template <class Stored>
struct VnniBlocks : BlockBytes<Avx512BlockVectors, Stored> {
  using Base = BlockBytes<Avx512BlockVectors, Stored>;
  using typename Base::Blocks;
  using Weights = typename Base::Planes;
  struct Activations {
    __m512i upper[kPlanes], lower[kPlanes];
  };
  struct Sum {
    __m512i upper, lower;
  };
  static constexpr bool kSigned = Stored::kCentre == 0;
  static constexpr int kCentre = kSigned ? 128 : Stored::kCentre;
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kRowsOfOneToken = 2;

  static void PackGroup(const BlockActivations<Base::kGroupBlocks>& q, uint8_t* to) {
    PackAsSplitLanes<VnniBlocks, Stored>(q, to);
  }
  static uint8_t Unsigned(uint8_t flip) { return kSigned ? flip ^ 0x80 : flip; }
  static Blocks Load(const uint8_t* p, uint8_t flip) { return Base::Load(p, Unsigned(flip)); }
  static Blocks LoadTail(const uint8_t* p, uint8_t flip, size_t bytes) {
    return Base::LoadTail(p, Unsigned(flip), bytes);
  }
  template <size_t number>
  static Weights Quarter(const Blocks& blocks) {
    return Base::template PlanesOf<number>(blocks);
  }
  static Activations LoadActivations(const uint8_t* p) {
    return {{_mm512_loadu_si512(p), _mm512_loadu_si512(p + 128)},
            {_mm512_loadu_si512(p + 64), _mm512_loadu_si512(p + 192)}};
  }
  static Sum Start(const uint8_t* starts) { return {_mm512_setzero_si512(), _mm512_loadu_si512(starts)}; }
  template <size_t>
  static void Add(const Weights& w, const Activations& q, Sum& sum) {
    TIED_UNROLL for (size_t i = 0; i < kPlanes; ++i) {
      sum.upper = _mm512_dpbusd_epi32(sum.upper, w.of[i], q.upper[i]);
      sum.lower = _mm512_dpbusd_epi32(sum.lower, w.of[i], q.lower[i]);
    }
  }
  static __m512 Values(const Sum& sum, const uint8_t*) {
    return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(sum.upper, 8), sum.lower));
  }
};

// Rows of nibbles without scales.
struct VnniNibbles {
  using Columns = AvxColumns;
  struct Weights {
    __m512i even, odd;
  };
  struct Sum {
    __m512i upper, lower;
  };
  static constexpr size_t kWidth = 64;
  static constexpr size_t kRun = 2 * kWidth;
  // 4 x 2 or 2 x 4 tiles of two sums each, and four vectors of activations; weights are unpacked once for all tokens.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kManyRows = 4;
  static constexpr size_t kManyRowTokens = 2;

  static Sum Zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static Weights Split(__m512i both) {
    const __m512i mask = _mm512_set1_epi8(15);
    return {_mm512_and_si512(both, mask), _mm512_and_si512(_mm512_srli_epi16(both, 4), mask)};
  }
  static Weights Load(const NibblePair* p) { return Split(KeepInRegister(_mm512_loadu_si512(p))); }
  static Weights LoadTail(const NibblePair* p, size_t bytes) {
    const __m256i none = _mm256_setzero_si256();
    const auto half = [&](const NibblePair* from, size_t size) {
      return size == 0 ? none : size < 32 ? _mm256_inserti128_si256(none, Load16Bytes(from), 0) : Load32Bytes(from);
    };
    const __m256i low = half(p, bytes), high = half(p + 32, bytes > 32 ? bytes - 32 : 0);
    return Split(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
  }
  template <size_t R>
  static void Add(const Weights (&w)[R], const int8_t* q, Sum* sums) {
    const __m512i even = KeepInRegister(_mm512_loadu_si512(q)), odd = KeepInRegister(_mm512_loadu_si512(q + kWidth));
    const __m512i low_even = KeepInRegister(_mm512_loadu_si512(q + 2 * kWidth));
    const __m512i low_odd = KeepInRegister(_mm512_loadu_si512(q + 3 * kWidth));
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      sums[r].upper = _mm512_dpbusd_epi32(sums[r].upper, w[r].even, even);
      sums[r].lower = _mm512_dpbusd_epi32(sums[r].lower, w[r].even, low_even);
    }
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      sums[r].upper = _mm512_dpbusd_epi32(sums[r].upper, w[r].odd, odd);
      sums[r].lower = _mm512_dpbusd_epi32(sums[r].lower, w[r].odd, low_odd);
    }
  }
  template <size_t R>
  static void AddSpreads(const Weights (&w)[R], const int8_t* mask, Sum* sums) {
    const __m512i spreads = _mm512_broadcast_i32x4(Load16Bytes(kSpreads));
    const __m512i even = _mm512_loadu_si512(mask + 2 * kWidth), odd = _mm512_loadu_si512(mask + 3 * kWidth);
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      sums[r].lower = _mm512_dpbusd_epi32(sums[r].lower, _mm512_shuffle_epi8(spreads, w[r].even), even);
      sums[r].lower = _mm512_dpbusd_epi32(sums[r].lower, _mm512_shuffle_epi8(spreads, w[r].odd), odd);
    }
  }
  static __m512i Lanes(const Sum& sum) { return _mm512_add_epi32(_mm512_slli_epi32(sum.upper, 8), sum.lower); }
  // Adds the lanes of four sums.
  static __m128i TotalsOfFour(const Sum& a, const Sum& b, const Sum& c, const Sum& d) {
    const __m512i ab = AddPairs(Lanes(a), Lanes(b)), cd = AddPairs(Lanes(c), Lanes(d));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
  static __m512i AddPairs(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  }
  template <size_t, size_t count>
  static void Totals(const Sum (&sums)[count], uint32_t* totals) {
    StoreTotals<VnniNibbles>(sums, totals);
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_VNNI_H_
