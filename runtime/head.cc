#include "runtime/head.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "kernels/float_environment.h"
#if defined(TIED_XNNPACK)
#include "kernels/gemm_xnnpack.h"
#endif

namespace tied::runtime {

namespace {

// The unit that threads take from each other: 256 KiB of table, long enough to hide the cost of taking it.
constexpr size_t kMaxTileRows = 256;
size_t TileRows(size_t cols) { return std::clamp<size_t>(65536 / cols, 4, kMaxTileRows); }

// logits[t * stride + r] for the rows [first, first + count).
void RunTile(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  const kernels::ScopedFloatEnvironment environment;
  batch.kernels->dot_f32(batch.table.values + first * batch.table.cols, count, batch.table.cols, batch.packed,
                         batch.tokens, logits, stride);
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

struct ArgmaxJob {
  const HeadBatch& batch;
  std::mutex mutex;
  Best* best;      // guarded by mutex
  size_t nan_row;  // guarded by mutex
};

constexpr size_t kNoRow = SIZE_MAX;

bool Better(const Best& a, const Best& b) {
  return b.id < 0 || a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The best of one token's logits in a tile; rows that are NaN go to *nan_row.
Best BestOf(const float* logits, size_t first, size_t count, size_t* nan_row) {
  Best best{0.0f, -1};
  for (size_t r = 0; r < count; ++r) {
    const Best candidate{logits[r], static_cast<int64_t>(first + r)};
    if (std::isnan(candidate.logit)) {
      *nan_row = std::min(*nan_row, first + r);
    } else if (Better(candidate, best)) {
      best = candidate;
    }
  }
  return best;
}

void ArgmaxTile(void* context, size_t first, size_t count) {
  ArgmaxJob& job = *static_cast<ArgmaxJob*>(context);
  float logits[kMaxTileRows * kMaxBatch];
  RunTile(job.batch, first, count, logits, count);
  Best best[kMaxBatch];
  size_t nan_row = kNoRow;
  for (size_t t = 0; t < job.batch.tokens; ++t) best[t] = BestOf(logits + t * count, first, count, &nan_row);
  const std::lock_guard<std::mutex> lock(job.mutex);
  job.nan_row = std::min(job.nan_row, nan_row);
  for (size_t t = 0; t < job.batch.tokens; ++t) {
    if (best[t].id >= 0 && Better(best[t], job.best[t])) job.best[t] = best[t];
  }
}

}  // namespace

void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits) {
  LogitsJob job{batch, logits};
  pthreadpool_parallelize_1d_tile_1d(pool, LogitsTile, &job, batch.table.rows, TileRows(batch.table.cols), 0);
}

bool RunArgmax(pthreadpool_t pool, const HeadBatch& batch, Best* best, size_t* nan_row) {
  std::fill_n(best, batch.tokens, Best{0.0f, -1});
  ArgmaxJob job{batch, {}, best, kNoRow};
  pthreadpool_parallelize_1d_tile_1d(pool, ArgmaxTile, &job, batch.table.rows, TileRows(batch.table.cols), 0);
  *nan_row = job.nan_row;
  return job.nan_row == kNoRow;
}

#if defined(TIED_XNNPACK)

bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, const float* hidden, float* logits) {
  const TableView& table = batch.table;
  // XNNPACK may read 16 bytes behind its input, and behind the last row there may be no page: it gets all rows but
  // that one.
  if (table.rows < 2 || table.cols < 4) return false;
  const size_t last = table.rows - 1;
  if (!kernels::GemmXnnpack(pool, table.values, last, table.cols, hidden, batch.tokens, logits, table.rows)) {
    return false;
  }
  HeadBatch rest = batch;
  rest.bias = nullptr;
  RunTile(rest, last, 1, logits + last, table.rows);
  if (batch.bias == nullptr) return true;
  for (size_t t = 0; t < batch.tokens; ++t) {
    for (size_t r = 0; r < table.rows; ++r) logits[t * table.rows + r] += batch.bias[r];
  }
  return true;
}

#else

bool RunLogitsXnnpack(pthreadpool_t, const HeadBatch&, const float*, float*) { return false; }

#endif

}  // namespace tied::runtime
