// Computes the head over a whole table on many threads. The layer between a session and the kernels.
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

// A batch of at most kMaxBatch tokens, and the table to multiply them with.
struct HeadBatch {
  const kernels::Kernels* kernels;
  TableView table;
  const float* bias;     // [rows] or null
  float soft_cap;        // of the logits; 0: none
  const float* hidden;   // [tokens, cols], multiplied by the head's scale
  PackedHidden* packed;  // the same, packed by `kernels` for the table
  size_t tokens;
  RowFilter filter;
  const std::atomic<bool>* cancelled;  // once true, tiles are skipped and results undefined

  bool is_cancelled() const { return cancelled->load(std::memory_order_relaxed); }
};

// Rows of `row_bytes` in a tile. Threads steal work in tiles; a tile is large enough to hide that cost.
size_t TileRows(size_t row_bytes);

// Packs batch.hidden for its table.
void PackForTable(const HeadBatch& batch);

// Sets logits[t * stride + r - first] for the rows r in [first, first + count), at most kMaxTileRows, before
// soft-capping: these decide what is among the best. Needs a ScopedFloatEnvironment, which every call and every tile
// has.
void RunRows(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride);

// Bytes between rows in RunScattered()'s buffers.
inline size_t AlignedRowBytes(size_t row_bytes) { return (row_bytes + 63) / 64 * 64; }

// logits[i] = logit of one token and row rows[i] of a float table, i < count, before soft-capping. Needs
// PackFloatsApart(). row_buffers: one row for each worker, AlignedRowBytes() apart.
void RunScattered(pthreadpool_t pool, const HeadBatch& batch, size_t token, const uint32_t* rows, size_t count,
                  unsigned char* row_buffers, float* logits);

// logits: [tokens, vocabulary], of which the first [rows] are set; rows that the filter denies get -infinity.
// Packs batch.hidden.
void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits);

// Sets logits[t * count + i] for the token ids ids[i], i < count, in any order; -infinity for ids without a row.
// Packs batch.hidden.
void RunLogitsOf(pthreadpool_t pool, const HeadBatch& batch, const int64_t* ids, size_t count, float* logits);

// RunLogits() by means of XNNPACK, for a batch without a filter. Returns false if XNNPACK cannot do it; logits are then
// undefined.
bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, float* logits);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_HEAD_H_
