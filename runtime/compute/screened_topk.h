// Finds the best rows of each token with a first pass over the screen: an int8 approximation of the table with one
// scale and one residual norm per row. The results have the same bits as those of RunFullTopk().
//
// For a row w = s * i + d with int8 row i and |d| <= residual norm, and a quantised hidden state x = c * q + e:
//   |w * x - s * c * (i * q)| <= |d| * |x| + s * |i| * |e|           (Cauchy-Schwarz, twice)
// and the float32 kernel's logit is within gamma * |w| * |x| of w * x (Higham 2002, 3.1). So each screened logit has
// a bound, and only rows whose upper bound reaches the k-th best lower bound can be among the k best: their logits
// are computed from the table.
#ifndef TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_
#define TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/best_k.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"

namespace tied::runtime {

// The rounding terms of the bounds hold up to this many columns; wider tables are not screened.
inline constexpr size_t kMaxScreenedCols = size_t{1} << 18;

enum class ScreenOutcome {
  kDone,
  kTooMany,  // too many rows survive for the screen to help: use the full pass
  kNoMemory,
};

struct ScreenResult {
  ScreenOutcome outcome;
  size_t nan_row;       // as RunFullTopk() returns it
  uint64_t table_rows;  // rows read from the table, all tokens together
};

// best: [tokens, k]; survivors: [tokens], the number of table rows computed for each token. log_z: [tokens] or null,
// with a bound of at most `log_z_tolerance`, which is above 0. The batch's table must have a screen. Packs
// batch.hidden.
ScreenResult RunScreenedTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* best, uint64_t* survivors,
                             double log_z_tolerance, LogZ* log_z);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_
