// x86-64 with AVX-512 VL and VNNI.
#include <cpuinfo.h>

#include "kernels/cpu.h"
#include "kernels/dot_blocks.h"
#include "kernels/dot_int.h"
#include "kernels/exponentials.h"
#include "kernels/sets.h"
#include "kernels/vnni.h"

namespace tied::kernels {

namespace {

bool Available() { return kAvx512.available() && cpuinfo_has_x86_avx512vnni(); }

// Without memory cpuinfo knows the instructions, but no core.
bool AvailableOnIntel() { return CpuinfoWorks() && Available() && cpuinfo_get_core(0)->vendor == cpuinfo_vendor_intel; }

constexpr Kernels SetWith(const FloatKernels* floats, const char* isa, bool (*available)()) {
  return {isa,
          available,
          floats,
          &kByteKernels<VnniInt>,
          &kBlockKernels<VnniBlocks>,
          &kNibbleKernels<VnniNibbles>,
          ExpsOfNegatives};
}

}  // namespace

// The addresses are constants, which the check does not see: NOLINTBEGIN(cppcoreguidelines-interfaces-global-init)
const Kernels kAvx512Vnni = SetWith(&kAvx512Floats, "avx512vnni", Available);
const Kernels kAvx512Intel = SetWith(&kAvx512IntelFloats, "avx512intel", AvailableOnIntel);
// NOLINTEND(cppcoreguidelines-interfaces-global-init)

}  // namespace tied::kernels
