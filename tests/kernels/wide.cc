// The kernels of AVX-512 and VNNI, emulated with SIMDe for CPUs without these instructions.
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <immintrin.h>
#include <simde/x86/avx512.h>

// SIMDe lacks these.
static simde__m512i ConvertWords(__m256i words) {
  return simde_mm512_inserti64x4(simde_mm512_castsi256_si512(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(words))),
                                 _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1)), 1);
}
static simde__m512 ConvertHalves(__m256i halves) {
  return simde_mm512_castsi512_ps(simde_mm512_inserti64x4(
      simde_mm512_castsi256_si512(_mm256_castps_si256(_mm256_cvtph_ps(_mm256_castsi256_si128(halves)))),
      _mm256_castps_si256(_mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))), 1));
}
#define _mm512_cvtepu16_epi32 ConvertWords
#define _mm512_cvtph_ps ConvertHalves
// The following headers must use SIMDe's names instead of the compiler's.
#include <cpuinfo.h>

#include "kernels/avx512.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/dot_nibble.h"
#include "kernels/sets.h"
#include "kernels/vnni.h"
#include "tests/kernels/sets.h"

namespace tied::test {

namespace {

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c(); }

}  // namespace

extern const kernels::Kernels kWide;
const kernels::Kernels kWide = {"wide",
                                Available,
                                &kernels::kFloatKernels<kernels::Avx512FewTokens, kernels::Avx512ManyTokens>,
                                &kernels::kByteKernels<kernels::VnniInt>,
                                &kernels::kScalarBlocks,
                                &kernels::kNibbleKernels<kernels::VnniNibbles>};

}  // namespace tied::test
