// Measures the memory of a model at several stages, and of several processes with the same model.
#ifndef TIED_TOOLS_TIED_BENCH_MEMORY_H_
#define TIED_TOOLS_TIED_BENCH_MEMORY_H_

#include <vector>

#include "tools/tied/bench/memory_use.h"
#include "tools/tied/options.h"

namespace tied::cli {

struct MemoryStages {
  MemoryUse before_open;
  MemoryUse after_open;
  MemoryUse after_session;
  MemoryUse after_embed;  // of 128 ids
  MemoryUse after_heads;  // ten of one token each, including the buffer of logits
  MemoryUse after_trim;
  MemoryUse after_topks;  // ten of one token each, through the screen if there is one
  uint64_t peak_rss = 0;
};

// Measures in a separate process. Both functions fork, so no other thread may run. Both throw std::runtime_error.
MemoryStages MeasureMemory(const CommonOptions& options);

// `count` processes open the model, embed and compute heads at the same time; all are alive when they are measured.
std::vector<MemoryUse> MeasureProcesses(const CommonOptions& options, size_t count);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_MEMORY_H_
