// The best rows of each token, without ever writing all logits: by one pass over the table.
#ifndef TIED_RUNTIME_COMPUTE_FULL_TOPK_H_
#define TIED_RUNTIME_COMPUTE_FULL_TOPK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/best_k.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"

namespace tied::runtime {

// Scratch of RunFullTopk, in entries.
size_t FullTopkHeapSize(pthreadpool_t pool, const HeadBatch& batch, size_t k);
size_t FullTopkLogSumSize(const HeadBatch& batch);

// best[t, :] = the k best rows of token t among those that the filter allows, at least k, best first. Packs.
// heaps: scratch of FullTopkHeapSize(); log_sums: scratch of FullTopkLogSumSize(), or null if log_z is not wanted.
// best has logits before they are soft-capped; log_z: [tokens], of the allowed rows as they are capped.
// Returns the lowest row with a logit that is NaN, kNoRow if there is none; results are undefined if there is one.
size_t RunFullTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* heaps, Candidate* best,
                   LogSum* log_sums, LogZ* log_z);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_FULL_TOPK_H_
