// Prints medians of the measurements as JSON and as tables.
#ifndef TIED_TOOLS_TIED_BENCH_REPORT_H_
#define TIED_TOOLS_TIED_BENCH_REPORT_H_

#include <vector>

#include "tools/tied/bench/cases.h"
#include "tools/tied/bench/memory.h"

namespace tied::cli {

// One object per case, all with the same keys; null if a figure does not apply.
// share_of_read: time to read the table's values once with as many threads, divided by this case's time; above 1 if the
// case reads less. ratio_to_one_token: time relative to the head of one token in the same session (top-k: same k and
// screen). ratio_to_memcpy: time relative to gathering as many rows with memcpy. Each is the median of the ratios
// within a repeat.
Json CasesJson(const std::vector<Case>& cases);

// One object per stage.
Json MemoryJson(const MemoryStages& stages);

// One object per process, and the sums.
Json ProcessesJson(const std::vector<MemoryUse>& uses);

// isa, available, selected.
Json KernelsJson();

// Print the same as tables.
void PrintReport(const Json& report);
void PrintKernels(const Json& kernels);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_REPORT_H_
