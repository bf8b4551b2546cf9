// x86-64 with AVX-512 VL: for rows of integers the vectors of AVX2, with twice as many registers to hold them.
#include "kernels/avx512.h"

#include <cpuinfo.h>

#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

using Float = Avx512Float;
using Int = AvxInt<4, 4>;
using Blocks = AvxBlocks<2, 4>;

bool Available() {
  return cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512vl() && cpuinfo_has_x86_avx512bw() &&
         cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c();
}

}  // namespace

const FloatKernels kAvx512Floats = kFloatKernels<Float>;
const Kernels kAvx512 = {"avx512", Available, &kAvx512Floats, &kByteKernels<Int>, &kBlockKernels<Blocks>};

}  // namespace tied::kernels
