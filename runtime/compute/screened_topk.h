// The best rows of each token by a first pass over the screen: an int8 approximation of the table with one scale and
// one residual norm for each row. Exact: the same result, to the bit, as RunFullTopk().
//
// For a row w = s * i + d, i its int8 row, |d| <= residual norm, and a hidden state x = c * q + e in quantised form:
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

// The bounds cover the roundings of so many columns; a wider table is not screened.
inline constexpr size_t kMaxScreenedCols = size_t{1} << 18;

enum class ScreenOutcome {
  kDone,
  kTooMany,  // more rows survive than a screen is good for: the full pass has to do it
  kNoMemory,
};

struct ScreenResult {
  ScreenOutcome outcome;
  size_t nan_row;       // as RunFullTopk() returns it
  uint64_t table_rows;  // rows read from the table, all tokens together
};

// best: [tokens, k]; survivors: [tokens], how many rows of the table were computed for each. log_z: [tokens] or null;
// its bound is at most `log_z_tolerance`, above 0. The batch's table has a screen. Packs.
ScreenResult RunScreenedTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* best, uint64_t* survivors,
                             double log_z_tolerance, LogZ* log_z);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREENED_TOPK_H_
