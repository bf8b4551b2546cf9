// The head over a whole table on many threads: what is between a session and the kernels.
#ifndef TIED_RUNTIME_COMPUTE_HEAD_H_
#define TIED_RUNTIME_COMPUTE_HEAD_H_

#include <pthreadpool.h>

#include <atomic>
#include <cstddef>

#include "kernels/kernels.h"
#include "runtime/compute/hidden.h"
#include "runtime/compute/row_filter.h"
#include "runtime/file/table.h"

namespace tied::runtime {

// Rows in the largest tile.
inline constexpr size_t kMaxTileRows = 256;

// One batch of at most kMaxBatch tokens over a table.
struct HeadBatch {
  const kernels::Kernels* kernels;
  TableView table;
  const float* bias;     // [rows] or null
  float soft_cap;        // of the logits; 0: none
  const float* hidden;   // [tokens, cols], scaled
  PackedHidden* packed;  // the same, as `kernels` packs them for the table
  size_t tokens;
  RowFilter filter;
  const std::atomic<bool>* cancelled;  // once true, tiles are skipped and results undefined

  bool is_cancelled() const { return cancelled->load(std::memory_order_relaxed); }
};

// Rows of `row_bytes` in a tile: the unit that threads take from each other, long enough to hide the cost of taking it.
size_t TileRows(size_t row_bytes);

// Packs batch.hidden for its table.
void PackForTable(const HeadBatch& batch);

// logits[t * stride + r - first] for the rows [first, first + count), for at most kMaxTileRows, before they are
// soft-capped: whatever is among the best is decided on these. Within a
// ScopedFloatEnvironment, as all that follows a call or runs as a tile is.
void RunRows(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride);

// logits[i] = the logit of one token and the row ids[i] of a float table, i < count, from PackFloatsApart(), before it
// is soft-capped.
void RunScattered(pthreadpool_t pool, const HeadBatch& batch, size_t token, const int64_t* ids, size_t count,
                  float* logits);

// logits: [tokens, vocabulary], of which the first [rows] are filled; those of rows that the filter denies are
// -infinity. Packs.
void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits);

// logits[t * count + i] for the token ids ids[i], i < count, in any order; -infinity for those without a row. Packs.
void RunLogitsOf(pthreadpool_t pool, const HeadBatch& batch, const int64_t* ids, size_t count, float* logits);

// RunLogits() through XNNPACK, for a batch without a filter. False if XNNPACK cannot: logits are then undefined.
bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, float* logits);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_HEAD_H_
