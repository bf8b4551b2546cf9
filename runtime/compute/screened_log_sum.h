// log_z of one token from screened logits: the rows that matter are computed from the table, the others are bounded.
#ifndef TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_
#define TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"
#include "runtime/compute/screened_topk.h"

namespace tied::runtime {

// The logit of row r is within middles[r] +- deviations[r]; a middle of infinity says nothing about it, one of
// -infinity all. [rows], defined where the batch's filter allows.
struct ScreenedLogits {
  const float* middles;
  const float* deviations;
};

// The rows with the largest upper bounds are computed until the rest is known well enough that log_z->bound is at most
// `tolerance`. *computed: how many. kTooMany: more than an eighth of the rows would be needed.
ScreenOutcome ScreenedLogSum(pthreadpool_t pool, const HeadBatch& batch, size_t token, const ScreenedLogits& logits,
                             double tolerance, LogZ* log_z, uint64_t* computed);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_
