// Finds the best rows of each token by means of a screen. The results have the same bits as those of RunFullTopk().
//
//  1. The upper nibbles of all rows give every logit a bound (screen.h).
//  2. The logits of the k most promising rows are computed exactly. The worst of them is the threshold: a row whose
//     upper bound is below it is out.
//  3. The lower nibbles of the rows that are left are read range after range of columns, while their bounds reach the
//     threshold (partial_screen.h), or all at once where most rows are left. All of them give a closer bound, or for a
//     quantised table the logit itself.
//  4. The rows of a float table that are still left are computed from the table.
// No step can run out of space, and none is done twice: the time grows with the rows that are left, up to that of
// reading the screen and the table once. If step 4 is likely to need most of a float table, a full pass replaces steps
// 3 and 4.
#ifndef TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_
#define TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/best_k.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"
#include "runtime/compute/screen.h"

namespace tied::runtime {

enum class ScreenOutcome {
  kDone,
  kTooMany,  // too many rows of the table are needed: use the full pass
  kNoMemory,
};

struct ScreenResult {
  ScreenOutcome outcome;
  size_t nan_row;          // as RunFullTopk() returns it
  uint64_t bytes_read;     // of the screen and the table
  bool worthwhile = true;  // false if a full pass of a quantised table would have taken less time
};

// What a top-k writes for each token.
struct ScreenedTopk {
  size_t k;
  Candidate* best;         // [tokens, k]
  uint64_t* survivors;     // [tokens]: rows computed exactly
  double log_z_tolerance;  // above 0 if log_z is not null
  LogZ* log_z;             // [tokens] or null, with a bound of at most the tolerance
};

// batch: at most kScreenTokens tokens, for a table with a screen. scratch: reserved for it. Packs batch.hidden.
ScreenResult RunScreenedTopk(pthreadpool_t pool, const HeadBatch& batch, ScreenScratch* scratch,
                             const ScreenedTopk& topk);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_
