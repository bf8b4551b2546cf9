// x86-64 with AVX-512 VL and VNNI.
#include <cpuinfo.h>

#include "kernels/dot_blocks.h"
#include "kernels/dot_int.h"
#include "kernels/exponentials.h"
#include "kernels/sets.h"
#include "kernels/vnni.h"

namespace tied::kernels {

namespace {

bool Available() { return kAvx512.available() && cpuinfo_has_x86_avx512vnni(); }

}  // namespace

// The address is a constant, which the check does not see: NOLINTNEXTLINE(cppcoreguidelines-interfaces-global-init)
const Kernels kAvx512Vnni = {"avx512vnni",
                             Available,
                             &kAvx512Floats,
                             &kByteKernels<VnniInt>,
                             &kBlockKernels<VnniBlocks>,
                             &kNibbleKernels<VnniNibbles>,
                             ExpsOfNegatives};

}  // namespace tied::kernels
