// x86-64 with AVX2, FMA and F16C.
#include <cpuinfo.h>

#include "kernels/avx.h"
#include "kernels/avx_blocks.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/exponentials.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

// One row times up to four tokens, all lanes.
using FewTokens = AvxFloat<1, 4, 4>;
// 3 x 2 sums of two registers each, three rows and one hidden vector: all 16 registers.
using ManyTokens = AvxFloat<3, 2, 2>;
// 2 x 4 sums, two rows, one vector of activations and one product: 12 of 16 registers.
using Int = AvxInt<2, 4>;
template <class Stored>
using Blocks = PairBlocks<AvxBlockVectors, Stored, 1>;

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c(); }

}  // namespace

const Kernels kAvx2 = {"avx2",
                       Available,
                       &kFloatKernels<FewTokens, FewTokens, ManyTokens>,
                       &kByteKernels<Int>,
                       &kBlockKernels<Blocks>,
                       &kNibbleKernels<AvxNibbles<2, 1>>,
                       ExpsOfNegatives};

}  // namespace tied::kernels
