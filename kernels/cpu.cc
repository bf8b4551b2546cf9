#include "kernels/cpu.h"

#include <cpuinfo.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>

namespace tied::kernels {

namespace {

// In-order cores, the small ones of a big.LITTLE chip. cpuinfo's numbers for them are fixed; headers of older releases
// lack the last two.
bool IsSmall(cpuinfo_uarch uarch) {
  switch (static_cast<unsigned>(uarch)) {
    case cpuinfo_uarch_cortex_a5:
    case cpuinfo_uarch_cortex_a7:
    case cpuinfo_uarch_cortex_a35:
    case cpuinfo_uarch_cortex_a53:
    case cpuinfo_uarch_cortex_a55r0:
    case cpuinfo_uarch_cortex_a55:
    case 0x00300551:  // Cortex-A510
    case 0x00300552:  // Cortex-A520
      return true;
    default:
      return false;
  }
}

size_t AllowedProcessors() {
  cpu_set_t allowed[16] = {};  // the kernel refuses a mask smaller than its own, which may be for 8192 processors
  if (sched_getaffinity(0, sizeof allowed, allowed) != 0) return 1;
  return static_cast<size_t>(std::max(1, CPU_COUNT_S(sizeof allowed, allowed)));
}

}  // namespace

bool PrepareCpuinfo() {
  constexpr size_t kEnough = 256 * 1024;         // for some thousand processors
  void* volatile memory = std::malloc(kEnough);  // NOLINT(cppcoreguidelines-no-malloc): cpuinfo calls malloc()
  std::free(memory);                             // NOLINT(cppcoreguidelines-no-malloc)
  if (memory != nullptr) (void)cpuinfo_initialize();
  return memory != nullptr;
}

size_t PerformanceCoreCount() {
  const size_t allowed = AllowedProcessors();
  if (!cpuinfo_initialize()) return allowed;
  const size_t cores = cpuinfo_get_cores_count();
  size_t large = 0;
  for (uint32_t i = 0; i < cores; ++i) large += !IsSmall(cpuinfo_get_core(i)->uarch);
  return std::max<size_t>(1, std::min(allowed, large > 0 ? large : cores));
}

}  // namespace tied::kernels
