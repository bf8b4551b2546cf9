// The session options that are fastest on this machine.
#ifndef TIED_TOOLS_TIED_BENCH_TUNE_H_
#define TIED_TOOLS_TIED_BENCH_TUNE_H_

#include "tools/tied/bench/cases.h"

namespace tied::cli {

// {"threads": …, "xnnpack_min_tokens": … or null, "measured": […]}. threads: the fewest with which a head of one token
// is within 2 % of the fastest. xnnpack_min_tokens: from where on XNNPACK is faster with them at every number of tokens
// tried; null: nowhere.
Json Tune(const BenchOptions& options);

// The same for people: the options as `tied` takes them.
void PrintTuning(const Json& tuning);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_TUNE_H_
