// x86-64 with AVX-512 VL. Rows of integers that are not in blocks use AVX2's vectors of 32 bytes, with twice as many
// registers.
#include "kernels/avx512.h"

#include <cpuinfo.h>

#include "kernels/avx512_blocks.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/exponentials.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

template <class Stored>
using Blocks = PairBlocks<Avx512BlockVectors, Stored, 2>;
using Int = AvxInt<4, 4>;

bool Available() {
  return cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512vl() && cpuinfo_has_x86_avx512bw() &&
         cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c();
}

}  // namespace

const FloatKernels kAvx512Floats = kFloatKernels<Avx512OneRow64, Avx512OneRow32, Avx512ManyTokens>;
const FloatKernels kAvx512IntelFloats = kFloatKernels<Avx512OneRow64, Avx512OneRow64, Avx512ManyTokens>;
const Kernels kAvx512 = {"avx512",
                         Available,
                         &kAvx512Floats,
                         &kByteKernels<Int>,
                         &kBlockKernels<Blocks>,
                         &kNibbleKernels<AvxNibbles<4, 2>>,
                         ExpsOfNegatives};

}  // namespace tied::kernels
