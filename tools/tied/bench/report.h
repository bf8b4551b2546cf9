// Medians of what was measured, as JSON and as tables.
#ifndef TIED_TOOLS_TIED_BENCH_REPORT_H_
#define TIED_TOOLS_TIED_BENCH_REPORT_H_

#include <vector>

#include "tools/tied/bench/cases.h"
#include "tools/tied/bench/memory.h"

namespace tied::cli {

// One object for each case, all with the same keys; null where a figure has no meaning.
// share_of_read: the time to read the table's values once, with as many threads, over this case's: above 1 if it reads
// less than that; ratio_to_one_token: time against the head of one token,
// same session (top-k: same k and screen); ratio_to_memcpy: time against gathering as many rows with memcpy. Each is
// the median of the ratios within one repeat.
Json CasesJson(const std::vector<Case>& cases);

// One object for each stage of memory.
Json MemoryJson(const MemoryStages& stages);

// Each process, and the sums.
Json ProcessesJson(const std::vector<MemoryUse>& uses);

// isa, available, selected.
Json KernelsJson();

// The same for people.
void PrintReport(const Json& report);
void PrintKernels(const Json& kernels);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_REPORT_H_
