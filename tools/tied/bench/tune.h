// Finds the fastest session options on this machine.
#ifndef TIED_TOOLS_TIED_BENCH_TUNE_H_
#define TIED_TOOLS_TIED_BENCH_TUNE_H_

#include "tools/tied/bench/cases.h"

namespace tied::cli {

// {"threads": …, "xnnpack_min_tokens": … or null, "measured": […]}. threads: the fewest threads with which a head of
// one token is within 2 % of the fastest. xnnpack_min_tokens: from this number of tokens on, XNNPACK is faster at every
// number tried with these threads; null: at none.
Json Tune(const BenchOptions& options);

// Prints the result as options of `tied`.
void PrintTuning(const Json& tuning);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_TUNE_H_
