// x86-64 with AVX-512 VL.
#include <cpuinfo.h>

#include "kernels/avx.h"
#include "kernels/dot_f32.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

// 4 x 6 sums, four rows and one hidden vector: 29 of 32 registers.
using Avx512 = Avx<4, 6>;

bool Available() { return cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512vl() && cpuinfo_has_x86_fma3(); }

}  // namespace

const Kernels kAvx512 = {"avx512", Available, DotF32<Avx512>::Pack, DotF32<Avx512>::Dot, /*xnnpack_min_tokens=*/16};

}  // namespace tied::kernels
