// x86-64 with AVX-512 VL and VNNI.
#include <cpuinfo.h>

#include "kernels/dot_int.h"
#include "kernels/sets.h"
#include "kernels/vnni.h"

namespace tied::kernels {

namespace {

bool Available() { return kAvx512.available() && cpuinfo_has_x86_avx512vnni(); }

}  // namespace

const Kernels kAvx512Vnni = {"avx512vnni",
                             Available,
                             PackHiddenAvx512,
                             DotF32Avx512,
                             DotF16Avx512,
                             DotBF16Avx512,
                             PackStepsAsHalves<VnniInt::kWidth>,
                             DotInt<VnniInt, int8_t>::Dot,
                             DotInt<VnniInt, uint8_t>::Dot,
                             PackStepsEvenOdd,
                             DotBlocksOf<VnniBlocks, NibblePair>,
                             DotBlocksOf<VnniBlocks, int8_t>,
                             DotBlocksOf<VnniBlocks, uint8_t>,
                             /*xnnpack_min_tokens=*/kNeverXnnpack,
                             /*xnnpack_min_tokens_widened=*/kNeverXnnpack};

}  // namespace tied::kernels
