// The head over a whole table on many threads: what is between a session and the kernels.
#ifndef TIED_RUNTIME_HEAD_H_
#define TIED_RUNTIME_HEAD_H_

#include <pthreadpool.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "runtime/model.h"

namespace tied::runtime {

// Tokens that go over the table together; more take another pass.
inline constexpr size_t kMaxBatch = 64;

// One batch of at most kMaxBatch tokens over a table.
struct HeadBatch {
  const kernels::Kernels* kernels;
  TableView table;
  const float* bias;    // [rows] or null
  const float* packed;  // hidden as `kernels` packs it
  size_t tokens;
};

// logits: [tokens, rows].
void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits);

struct Best {
  float logit;
  int64_t id;  // -1 before any row
};

// best: [tokens]. False if a logit is NaN: *nan_row is then the lowest such row.
bool RunArgmax(pthreadpool_t pool, const HeadBatch& batch, Best* best, size_t* nan_row);

// logits: [tokens, rows], through XNNPACK; hidden: [tokens, cols]. False if XNNPACK cannot: logits are then undefined.
bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, const float* hidden, float* logits);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_HEAD_H_
