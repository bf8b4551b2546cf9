// The memory use of this process, as the system reports it.
#ifndef TIED_TOOLS_TIED_BENCH_MEMORY_USE_H_
#define TIED_TOOLS_TIED_BENCH_MEMORY_USE_H_

#include <cstdint>
#include <string>

namespace tied::cli {

// Bytes, from /proc/self/smaps_rollup.
struct MemoryUse {
  uint64_t rss = 0;            // resident
  uint64_t pss = 0;            // resident, each shared page divided by the number of processes that share it
  uint64_t private_dirty = 0;  // written, so it cannot be dropped when memory is short
};

// True if the system has that file.
bool CanReadMemoryUse();

// Throws std::runtime_error if it does not.
MemoryUse ReadMemoryUse();

// Peak of the resident bytes: VmHWM in /proc/self/status.
uint64_t ReadPeakRss();

// The CPU's name from /proc/cpuinfo, or "unknown".
std::string CpuName();

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_MEMORY_USE_H_
