// The kernels of AVX-512 and VNNI, emulated with SIMDe for CPUs without these instructions.
#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_NO_INLINE  // compiles in half of the time
#include <immintrin.h>
#include <simde/x86/avx512.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

// What SIMDe lacks.
static __m512i LoadMasked(uint64_t mask, const void* p) {
  uint8_t bytes[64] = {};
  for (size_t i = 0; i < sizeof bytes; ++i) {
    if (mask >> i & 1) bytes[i] = static_cast<const uint8_t*>(p)[i];
  }
  return _mm512_loadu_si512(bytes);
}
template <class Whole, class Part>
static Whole Join(Part low, Part high) {
  const Part parts[] = {low, high};
  Whole whole;
  static_assert(sizeof whole == sizeof parts);
  std::memcpy(&whole, parts, sizeof whole);
  return whole;
}
static __m512 FromHalves(__m256i x) {
  return Join<__m512>(_mm256_cvtph_ps(_mm256_castsi256_si128(x)), _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1)));
}
static __m512 FromIntegers(__m512i x) {
  return Join<__m512>(_mm256_cvtepi32_ps(_mm512_castsi512_si256(x)),
                      _mm256_cvtepi32_ps(_mm512_extracti64x4_epi64(x, 1)));
}
static __m512i FromWords(__m256i x) {
  return Join<__m512i>(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(x)),
                       _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1)));
}
static __m512i FromSignedBytes(__m128i x) {
  return Join<__m512i>(_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)));
}
static __m512i FromBytes(__m128i x) {
  return Join<__m512i>(_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)));
}
static __m512i MulAddPairs(__m512i a, __m512i b) {
  return Join<__m512i>(_mm256_madd_epi16(_mm512_castsi512_si256(a), _mm512_castsi512_si256(b)),
                       _mm256_madd_epi16(_mm512_extracti64x4_epi64(a, 1), _mm512_extracti64x4_epi64(b, 1)));
}
// Two of the four quarters of a, then two of b, two bits of `control` each.
static __m512i ChooseQuarters(__m512i a, __m512i b, unsigned control) {
  __m128i from[2][4], chosen[4];
  std::memcpy(from[0], &a, sizeof a);
  std::memcpy(from[1], &b, sizeof b);
  for (size_t i = 0; i < 4; ++i) chosen[i] = from[i / 2][control >> 2 * i & 3];
  return _mm512_loadu_si512(chosen);
}
#define _mm512_maskz_loadu_epi8 LoadMasked
#undef _mm512_shuffle_i64x2  // may be a macro
#define _mm512_shuffle_i64x2 ChooseQuarters
#undef _mm512_madd_epi16  // a macro that takes a mask
#define _mm512_madd_epi16 MulAddPairs
#define _mm512_cvtph_ps FromHalves
#define _mm512_cvtepi32_ps FromIntegers
#define _mm512_cvtepu16_epi32 FromWords
#define _mm512_cvtepi8_epi32 FromSignedBytes
#define _mm512_cvtepu8_epi32 FromBytes

// The following headers must use SIMDe's names instead of the compiler's.
#include <cpuinfo.h>

#include "kernels/avx512.h"
#include "kernels/avx512_blocks.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/dot_nibble.h"
#include "kernels/exponentials.h"
#include "kernels/sets.h"
#include "kernels/vnni.h"
#include "tests/kernels/sets.h"

namespace tied::test {

namespace {

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c(); }

}  // namespace

extern const kernels::Kernels kWide;
const kernels::Kernels kWide = {
    "wide",
    Available,
    &kernels::kFloatKernels<kernels::Avx512OneRow64, kernels::Avx512OneRow64, kernels::Avx512ManyTokens>,
    &kernels::kByteKernels<kernels::VnniInt>,
    &kernels::kBlockKernels<kernels::VnniBlocks>,
    &kernels::kNibbleKernels<kernels::VnniNibbles>,
    kernels::ExpsOfNegatives};

}  // namespace tied::test
