// Computes log_z of one token from screened logits. Rows that matter are computed from the table, others are bounded.
#ifndef TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_
#define TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"
#include "runtime/compute/screened_topk.h"

namespace tied::runtime {

// The logit of row r is within middles[r] +- deviations[r]. A middle of infinity means that it is unbounded, -infinity
// that it is exactly that. [rows], defined for rows that the batch's filter allows.
struct ScreenedLogits {
  const float* middles;
  const float* deviations;
};

// Computes rows exactly, largest upper bound first, until log_z->bound is at most `tolerance`. *computed: their number.
// kTooMany: more than an eighth of the rows would be needed.
ScreenOutcome ScreenedLogSum(pthreadpool_t pool, const HeadBatch& batch, size_t token, const ScreenedLogits& logits,
                             double tolerance, LogZ* log_z, uint64_t* computed);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_
