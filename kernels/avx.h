// Vector operations for the loops of dot_float.h and dot_int.h, on x86-64 with vectors of 32 bytes. Used with AVX2, and
// with AVX-512 VL, which has twice as many registers.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX_H_
#define TIED_KERNELS_AVX_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/dot_int.h"
#include "kernels/dot_nibble.h"
#include "kernels/float_formats.h"
#include "kernels/int_formats.h"

namespace tied::kernels {
namespace {

// Stops GCC from loading a vector again for each use: the load ports limit the speed of a tile.
template <class Vec>
inline __attribute__((always_inline)) Vec KeepInRegister(Vec v) {
#if defined(__AVX512F__)
  constexpr size_t kRegisterBytes = 64;
#else
  constexpr size_t kRegisterBytes = 32;
#endif
  if constexpr (sizeof(Vec) <= kRegisterBytes) __asm__("" : "+v"(v));
  return v;
}

inline __m128i Load16Bytes(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline __m256i Load32Bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// Adds eight lanes in the order that scalar.cc defines.
inline float SumLanes(__m256 lanes) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// Sums of integers, which are exact in any order.
inline double AddAll(__m256d four) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
inline double AddAll(__m256i lanes) {
  return AddAll(_mm256_add_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(lanes)),
                              _mm256_cvtepi32_pd(_mm256_extracti128_si256(lanes, 1))));
}

// Float rows. A tile has `rows` x `tokens` sums of `parts` registers each.
template <size_t rows, size_t tokens, size_t parts>
struct AvxFloat {
  using Vec = __m256;
  static constexpr size_t kWidth = 8;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;
  static constexpr size_t kParts = parts;

  static Vec Zero() { return _mm256_setzero_ps(); }
  static Vec Load(const float* p) { return KeepInRegister(_mm256_loadu_ps(p)); }
  static Vec Load(const Half* p) { return KeepInRegister(_mm256_cvtph_ps(Load16Bytes(p))); }
  static Vec Load(const BFloat16* p) {
    return KeepInRegister(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load16Bytes(p)), 16)));
  }
  // With one row each is used once, so it may stay an operand in memory.
  static Vec LoadHidden(const float* p) { return kRows == 1 ? _mm256_loadu_ps(p) : Load(p); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static Vec Add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static float Sum(Vec lanes) { return SumLanes(lanes); }
};

// Rows of bytes, widened to 16 bits. Each 32-bit lane of a sum adds pairs of products.
template <size_t rows, size_t tokens>
struct AvxInt {
  static constexpr PackActivations* kPack = PackAsWords;
  using Weights = __m256i;
  using Activations = __m256i;
  using Sum = __m256i;
  static constexpr size_t kWidth = 16;
  static constexpr size_t kParts = 2;
  static constexpr size_t kPartsOfOneRow = 4;
  static constexpr bool kPairs = false;
  static constexpr size_t kTokensOfOneRow = 1;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;
  // A lane adds two products for every 16 columns, each at most 255 * 32512.
  static constexpr size_t kMaxCols = 2048;
  static_assert(kMaxCols / kWidth * 2 * 255 * 32512 <= INT32_MAX);

  static Sum Zero() { return _mm256_setzero_si256(); }
  static Weights LoadWeights(const int8_t* p) { return KeepInRegister(_mm256_cvtepi8_epi16(Load16Bytes(p))); }
  static Weights LoadWeights(const uint8_t* p) { return KeepInRegister(_mm256_cvtepu8_epi16(Load16Bytes(p))); }
  static Activations LoadActivations(const uint8_t* p) { return KeepInRegister(Load32Bytes(p)); }
  static void Add(Weights w, Activations q, Sum& sum) { sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, q)); }
  static Sum Join(Sum a, Sum b) { return _mm256_add_epi32(a, b); }
  static double Total(Sum sum) { return AddAll(sum); }
  static double Excess(const void*) { return 0; }
};

// Adds the lanes of four sums.
inline __m128i AddLanesOfFour(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  return _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

// For ColumnSums() of screen_bounds.h.
struct AvxColumns {
  static void FourRows(const int8_t* const (&rows)[4], const int16_t* columns, int32_t* sums) {
    const __m256i q = Load32Bytes(columns);
    const auto products = [&](size_t r) __attribute__((always_inline)) {
      return _mm256_madd_epi16(_mm256_cvtepi8_epi16(Load16Bytes(rows[r])), q);
    };
    const __m128i four = AddLanesOfFour(products(0), products(1), products(2), products(3));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), four);
  }
};

// Adds the lanes of some sums, four at a time.
template <class Isa, class Sum, size_t count>
inline __attribute__((always_inline)) void StoreTotals(const Sum (&sums)[count], uint32_t* totals) {
  constexpr size_t kFour = 4;
  TIED_UNROLL for (size_t i = 0; i < count; i += kFour) {
    const auto at = [&](size_t j) __attribute__((always_inline))->const Sum& {
      return sums[i + j < count ? i + j : i];
    };
    uint32_t four[kFour];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(four), Isa::TotalsOfFour(at(0), at(1), at(2), at(3)));
    std::memcpy(totals + i, four, (count - i < kFour ? count - i : kFour) * sizeof(uint32_t));
  }
}

// Rows of nibbles without scales. Products of nibbles and signed bytes, at most 15 * 128 each, are added in pairs and
// in fours without saturation.
template <size_t rows, size_t tokens>
struct AvxNibbles {
  using Columns = AvxColumns;
  struct Weights {
    __m256i even, odd;
  };
  struct Sum {
    __m256i upper, lower;
  };
  static constexpr size_t kWidth = 32;
  static constexpr size_t kRun = 2 * kWidth;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;
  static constexpr size_t kManyRows = rows;
  static constexpr size_t kManyRowTokens = 0;

  static Sum Zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Weights Split(__m256i both) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(both, mask), _mm256_and_si256(_mm256_srli_epi16(both, 4), mask)};
  }
  static Weights Load(const NibblePair* p) { return Split(KeepInRegister(Load32Bytes(p))); }
  static Weights LoadTail(const NibblePair* p, size_t) {
    return Split(_mm256_inserti128_si256(_mm256_setzero_si256(), Load16Bytes(p), 0));
  }
  static __m256i AddProducts(const Weights& w, __m256i even, __m256i odd, __m256i sum) {
    const __m256i products = _mm256_add_epi16(_mm256_maddubs_epi16(w.even, even), _mm256_maddubs_epi16(w.odd, odd));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
  }
  template <size_t R>
  static void Add(const Weights (&w)[R], const int8_t* q, Sum* sums) {
    const __m256i even = KeepInRegister(Load32Bytes(q)), odd = KeepInRegister(Load32Bytes(q + kWidth));
    TIED_UNROLL for (size_t r = 0; r < R; ++r) sums[r].upper = AddProducts(w[r], even, odd, sums[r].upper);
    const __m256i low_even = KeepInRegister(Load32Bytes(q + 2 * kWidth));
    const __m256i low_odd = KeepInRegister(Load32Bytes(q + 3 * kWidth));
    TIED_UNROLL for (size_t r = 0; r < R; ++r) sums[r].lower = AddProducts(w[r], low_even, low_odd, sums[r].lower);
  }
  template <size_t R>
  static void AddSpreads(const Weights (&w)[R], const int8_t* mask, Sum* sums) {
    const __m256i spreads = _mm256_broadcastsi128_si256(Load16Bytes(kSpreads));
    const __m256i even = Load32Bytes(mask + 2 * kWidth), odd = Load32Bytes(mask + 3 * kWidth);
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      const Weights of_row = {_mm256_shuffle_epi8(spreads, w[r].even), _mm256_shuffle_epi8(spreads, w[r].odd)};
      sums[r].lower = AddProducts(of_row, even, odd, sums[r].lower);
    }
  }
  static __m256i Lanes(const Sum& sum) { return _mm256_add_epi32(_mm256_slli_epi32(sum.upper, 8), sum.lower); }
  static __m128i TotalsOfFour(const Sum& a, const Sum& b, const Sum& c, const Sum& d) {
    return AddLanesOfFour(Lanes(a), Lanes(b), Lanes(c), Lanes(d));
  }
  template <size_t, size_t count>
  static void Totals(const Sum (&sums)[count], uint32_t* totals) {
    StoreTotals<AvxNibbles>(sums, totals);
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX_H_
