// The kernels of AVX-512 and VNNI, emulated with SIMDe for CPUs without these instructions.
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
// The following headers must use SIMDe's names instead of the compiler's.
#include <cpuinfo.h>

#include "kernels/avx512.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/dot_nibble.h"
#include "kernels/vnni.h"
#include "tests/kernels/sets.h"

namespace tied::test {

namespace {

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c(); }

}  // namespace

extern const kernels::Kernels kWide;
const kernels::Kernels kWide = {"wide", Available, &kernels::kFloatKernels<kernels::Avx512Float>,
                                &kernels::kByteKernels<kernels::VnniInt>, &kernels::kBlockKernels<kernels::VnniBlocks>,
                                &kernels::kNibbleKernels<kernels::VnniNibbles>};

}  // namespace tied::test
