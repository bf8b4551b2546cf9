#include "runtime/head.h"

#include <algorithm>

#include "kernels/float_environment.h"
#if defined(TIED_XNNPACK)
#include "kernels/gemm_xnnpack.h"
#endif

namespace tied::runtime {

namespace {

// The unit that threads take from each other: 256 KiB of table, long enough to hide the cost of taking it.
size_t TileRows(size_t cols) { return std::clamp<size_t>(65536 / cols, 4, kMaxTileRows); }

void AddBias(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  if (batch.bias == nullptr) return;
  for (size_t t = 0; t < batch.tokens; ++t) {
    for (size_t r = 0; r < count; ++r) logits[t * stride + r] += batch.bias[first + r];
  }
}

struct LogitsJob {
  const HeadBatch& batch;
  float* logits;
};

void LogitsTile(void* context, size_t first, size_t count) {
  const LogitsJob& job = *static_cast<const LogitsJob*>(context);
  RunTile(job.batch, first, count, job.logits + first, job.batch.table.rows);
}

}  // namespace

void ForEachTile(pthreadpool_t pool, const TableView& table, pthreadpool_task_1d_tile_1d_t tile, void* context) {
  pthreadpool_parallelize_1d_tile_1d(pool, tile, context, table.rows, TileRows(table.cols), /*flags=*/0);
}

bool RunTile(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  if (batch.cancelled->load(std::memory_order_relaxed)) return false;
  const kernels::ScopedFloatEnvironment environment;
  batch.kernels->dot_f32(batch.table.values + first * batch.table.cols, count, batch.table.cols, batch.packed,
                         batch.tokens, logits, stride);
  AddBias(batch, first, count, logits, stride);
  return true;
}

void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits) {
  LogitsJob job{batch, logits};
  ForEachTile(pool, batch.table, LogitsTile, &job);
}

#if defined(TIED_XNNPACK)

bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, const float* hidden, float* logits) {
  const TableView& table = batch.table;
  // XNNPACK may read 16 bytes behind its input, and behind the last row there may be no page: it gets all rows but
  // that one.
  if (table.rows < 2 || table.cols < 4) return false;
  const size_t last = table.rows - 1;
  if (!kernels::GemmXnnpack(pool, table.values, last, table.cols, hidden, batch.tokens, logits, table.rows,
                            *batch.cancelled)) {
    return false;
  }
  AddBias(batch, 0, last, logits, table.rows);
  RunTile(batch, last, 1, logits + last, table.rows);
  return true;
}

#else

bool RunLogitsXnnpack(pthreadpool_t, const HeadBatch&, const float*, float*) { return false; }

#endif

}  // namespace tied::runtime
