#include "runtime/compute/full_topk.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"
#include "runtime/compute/soft_cap.h"

namespace tied::runtime {

namespace {

// Results from the tiles of one worker.
struct WorkerResult {
  size_t filled = 0;  // entries in each token's heap
  size_t nan_row = kNoRow;
};

// Logits of the allowed rows of a tile, without gaps.
struct TileLogits {
  float* logits;  // [tokens, kMaxTileRows]
  size_t count = 0;
  int64_t ids[kMaxTileRows];

  explicit TileLogits(float* memory) : logits(memory) {}

  const float* of_token(size_t token) const { return logits + token * kMaxTileRows; }
  float* of_token(size_t token) { return logits + token * kMaxTileRows; }

  void Compute(const HeadBatch& batch, size_t first, size_t rows) {
    batch.filter.ForEachRun(first, rows, [&](size_t row, size_t run) {
      RunRows(batch, row, run, logits + count, kMaxTileRows);
      for (size_t r = 0; r < run; ++r) ids[count++] = static_cast<int64_t>(row + r);
    });
  }
};

void OfferTile(const TileLogits& tile, size_t token, BestK* best, size_t* nan_row) {
  const float* logits = tile.of_token(token);
  for (size_t i = 0; i < tile.count; ++i) {
    Candidate candidate{logits[i], tile.ids[i]};
    if (std::isnan(candidate.logit)) {
      *nan_row = std::min(*nan_row, static_cast<size_t>(candidate.id));
      candidate.logit = -INFINITY;
    }
    best->Offer(candidate);
  }
}

size_t TileCount(const HeadBatch& batch) {
  const size_t tile_rows = TileRows(batch.table.row_bytes);
  return (batch.table.rows + tile_rows - 1) / tile_rows;
}

}  // namespace

size_t FullTopkHeapSize(pthreadpool_t pool, const HeadBatch& batch, size_t k) {
  return pthreadpool_get_threads_count(pool) * batch.tokens * k;
}

size_t FullTopkTileSize(pthreadpool_t pool, const HeadBatch& batch) {
  return pthreadpool_get_threads_count(pool) * batch.tokens * kMaxTileRows;
}

size_t FullTopkLogSumSize(const HeadBatch& batch) { return TileCount(batch) * batch.tokens; }

size_t RunFullTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, const FullTopkMemory& memory, Candidate* best,
                   LogZ* log_z) {
  LogSum* const log_sums = memory.log_sums;
  PackForTable(batch);
  const size_t tile_rows = TileRows(batch.table.row_bytes);
  WorkerResult results[kernels::kMaxThreads];
  const auto heap_of = [&](size_t worker, size_t token) { return memory.heaps + (worker * batch.tokens + token) * k; };
  kernels::ForEachTile(pool, *batch.cancelled, batch.table.rows, tile_rows, [&](const kernels::Tile& tile) {
    TileLogits logits(memory.tiles + tile.worker * batch.tokens * kMaxTileRows);
    logits.Compute(batch, tile.first, tile.count);
    WorkerResult& result = results[tile.worker];
    size_t filled = result.filled;
    for (size_t t = 0; t < batch.tokens; ++t) {
      BestK heap{heap_of(tile.worker, t), k, result.filled};
      OfferTile(logits, t, &heap, &result.nan_row);
      filled = heap.filled;
      if (log_sums == nullptr) continue;
      SoftCapRow(batch.soft_cap, logits.of_token(t), logits.count);
      log_sums[tile.first / tile_rows * batch.tokens + t] =
          LogSum::Of(*batch.kernels, logits.of_token(t), logits.count);
    }
    result.filled = filled;
  });
  size_t nan_row = kNoRow;
  for (const WorkerResult& result : results) nan_row = std::min(nan_row, result.nan_row);
  for (size_t t = 0; t < batch.tokens; ++t) {
    BestK merged{best + t * k, k, 0};
    for (size_t worker = 0; worker < kernels::kMaxThreads; ++worker) {
      for (size_t i = 0; i < results[worker].filled; ++i) merged.Offer(heap_of(worker, t)[i]);
    }
    merged.Sort();
    if (log_sums != nullptr) log_z[t] = LogOfSum(log_sums + t, TileCount(batch), batch.tokens, batch.table.rows);
  }
  return nan_row;
}

}  // namespace tied::runtime
