#include "kernels/cpu.h"

#include <cpuinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

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

#if defined(__arm__) || defined(__aarch64__)

bool cpuinfo_is_safe = false;

void CheckCpuinfo() {
  int file = -1;
  do {
    file = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
  } while (file < 0 && errno == EINTR);
  if (file < 0) return;
  char text[4096];  // the first processors
  size_t length = 0;
  while (length < sizeof text - 1) {
    const ssize_t got = read(file, text + length, sizeof text - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += static_cast<size_t>(got);
  }
  close(file);
  text[length] = '\0';
  cpuinfo_is_safe = DescribesArm(text);
}

// Bits of AT_HWCAP and AT_HWCAP2, which the C libraries have in different headers.
#if defined(__aarch64__)
constexpr unsigned long kFma = 1ul << 1;    // ASIMD
constexpr unsigned long kDot = 1ul << 20;   // ASIMDDP
constexpr unsigned long kI8mm = 1ul << 13;  // of AT_HWCAP2
#else
constexpr unsigned long kFma = 1ul << 12 | 1ul << 16;  // NEON and VFPv4
constexpr unsigned long kDot = 0, kI8mm = 0;           // no set of this build
#endif

bool SystemHas(unsigned long features, unsigned long type = AT_HWCAP) {
  return features != 0 && (getauxval(type) & features) == features;
}

#endif

}  // namespace

bool DescribesArm(const char* text) { return std::strstr(text, "CPU implementer") != nullptr; }

bool CpuinfoWorks() {
#if defined(__arm__) || defined(__aarch64__)
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, CheckCpuinfo);
  if (!cpuinfo_is_safe) return false;
#endif
  return cpuinfo_initialize();
}

#if defined(__arm__) || defined(__aarch64__)
bool HasNeonFma() { return CpuinfoWorks() ? cpuinfo_has_arm_neon_fma() : SystemHas(kFma); }
bool HasNeonDot() { return CpuinfoWorks() ? cpuinfo_has_arm_neon_dot() : SystemHas(kDot); }
// Debian 12's cpuinfo does not know this.
bool HasNeonI8mm() { return SystemHas(kI8mm, AT_HWCAP2); }
#endif

bool PrepareCpuinfo() {
  constexpr size_t kEnough = 256 * 1024;         // for some thousand processors
  void* volatile memory = std::malloc(kEnough);  // NOLINT(cppcoreguidelines-no-malloc): cpuinfo calls malloc()
  std::free(memory);                             // NOLINT(cppcoreguidelines-no-malloc)
  if (memory != nullptr) (void)CpuinfoWorks();
  return memory != nullptr;
}

size_t PerformanceCoreCount() {
  const size_t allowed = AllowedProcessors();
  if (!CpuinfoWorks()) return allowed;
  const size_t cores = cpuinfo_get_cores_count();
  size_t large = 0;
  for (uint32_t i = 0; i < cores; ++i) large += !IsSmall(cpuinfo_get_core(i)->uarch);
  return std::max<size_t>(1, std::min(allowed, large > 0 ? large : cores));
}

}  // namespace tied::kernels
