// x86-64 with AVX2 and FMA.
#include <cpuinfo.h>

#include "kernels/avx.h"
#include "kernels/dot_f32.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

// 3 x 4 sums, three rows and one hidden vector: all 16 registers.
using Avx2 = Avx<3, 4>;

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3(); }

}  // namespace

const Kernels kAvx2 = {"avx2", Available, DotF32<Avx2>::Pack, DotF32<Avx2>::Dot, kNeverXnnpack};

}  // namespace tied::kernels
