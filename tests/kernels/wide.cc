// The kernels of AVX-512 and VNNI with SIMDe in the place of the instructions, for CPUs that lack them.
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
// The next includes must find SIMDe's names, and not the compiler's.
#include <cpuinfo.h>

#include "kernels/avx512.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/vnni.h"
#include "tests/kernels/sets.h"

namespace tied::test {

namespace {

using Float = kernels::Avx512Float;

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c(); }

}  // namespace

extern const kernels::Kernels kWide;
const kernels::Kernels kWide = {"wide",
                                Available,
                                kernels::PackGroups<Float>,
                                kernels::DotFloat<Float, float>::Dot,
                                kernels::DotFloat<Float, kernels::Half>::Dot,
                                kernels::DotFloat<Float, kernels::BFloat16>::Dot,
                                kernels::PackStepsAsHalves<kernels::VnniInt::kWidth>,
                                kernels::DotInt<kernels::VnniInt, int8_t>::Dot,
                                kernels::DotInt<kernels::VnniInt, uint8_t>::Dot,
                                kernels::PackStepsEvenOdd,
                                kernels::DotBlocksOf<kernels::VnniBlocks, kernels::NibblePair>,
                                kernels::DotBlocksOf<kernels::VnniBlocks, int8_t>,
                                kernels::DotBlocksOf<kernels::VnniBlocks, uint8_t>,
                                kernels::kNeverXnnpack,
                                kernels::kNeverXnnpack};

}  // namespace tied::test
