// The best rows of each token, without ever writing all logits.
#ifndef TIED_RUNTIME_TOPK_H_
#define TIED_RUNTIME_TOPK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/head.h"

namespace tied::runtime {

// A row as a possible result.
struct Candidate {
  float logit;
  int64_t id;

  // A total order where no logit is NaN: the larger logit first, of equal ones the lower row.
  bool BetterThan(const Candidate& other) const {
    return logit > other.logit || (logit == other.logit && id < other.id);
  }
};

inline constexpr size_t kNoRow = SIZE_MAX;

// best[t, :] = the k best rows of token t, best first; k is at most the row count. `heaps` is scratch of
// threads * tokens * k entries. Returns the lowest row with a logit that is NaN, kNoRow if there is none.
size_t RunTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* heaps, Candidate* best);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_TOPK_H_
