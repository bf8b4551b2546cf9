// The head over a whole table on many threads: what is between a session and the kernels.
#ifndef TIED_RUNTIME_HEAD_H_
#define TIED_RUNTIME_HEAD_H_

#include <pthreadpool.h>

#include <atomic>
#include <cstddef>

#include "kernels/kernels.h"
#include "runtime/model.h"

namespace tied::runtime {

// Tokens that go over the table together; more take another pass.
inline constexpr size_t kMaxBatch = 64;

// Rows in the largest tile.
inline constexpr size_t kMaxTileRows = 256;

// One batch of at most kMaxBatch tokens over a table.
struct HeadBatch {
  const kernels::Kernels* kernels;
  TableView table;
  const float* bias;    // [rows] or null
  const float* packed;  // hidden as `kernels` packs it
  size_t tokens;
  const std::atomic<bool>* cancelled;  // once true, tiles are skipped and results undefined
};

// Calls tile(context, first row, rows) for tiles of at most kMaxTileRows that cover the table.
void ForEachTile(pthreadpool_t pool, const TableView& table, pthreadpool_task_1d_tile_1d_t tile, void* context);

// logits[t * stride + r] for the rows [first, first + count). False, with nothing written, once cancelled.
bool RunTile(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride);

// logits: [tokens, rows].
void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits);

// The same through XNNPACK; hidden: [tokens, cols]. False if XNNPACK cannot: logits are then undefined.
bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, const float* hidden, float* logits);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_HEAD_H_
