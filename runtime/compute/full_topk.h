// Finds the best rows of each token in one pass over the table, without storing all logits.
#ifndef TIED_RUNTIME_COMPUTE_FULL_TOPK_H_
#define TIED_RUNTIME_COMPUTE_FULL_TOPK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/best_k.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"

namespace tied::runtime {

// Scratch of RunFullTopk(); not on the stack, which may be small.
struct FullTopkMemory {
  Candidate* heaps;  // FullTopkHeapSize()
  float* tiles;      // FullTopkTileSize()
  LogSum* log_sums;  // FullTopkLogSumSize(), or null if log_z is not wanted
};

size_t FullTopkHeapSize(pthreadpool_t pool, const HeadBatch& batch, size_t k);
size_t FullTopkTileSize(pthreadpool_t pool, const HeadBatch& batch);
size_t FullTopkLogSumSize(const HeadBatch& batch);

// best[t, :] = the k best rows of token t, best first. The filter must allow at least k rows. Packs batch.hidden.
// best has logits before soft-capping; log_z: [tokens], over the allowed rows, after soft-capping.
// Returns the lowest row whose logit is NaN, or kNoRow; if a logit is NaN, the results are undefined.
size_t RunFullTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, const FullTopkMemory& memory, Candidate* best,
                   LogZ* log_z);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_FULL_TOPK_H_
