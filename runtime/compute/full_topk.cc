#include "runtime/compute/full_topk.h"

#include <algorithm>
#include <cmath>

#include "kernels/float_environment.h"
#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

// What the tiles that ran in one work place have found.
struct Found {
  size_t filled = 0;  // entries in each token's heap
  size_t nan_row = kNoRow;
};

struct TopkJob {
  const HeadBatch& batch;
  size_t k;
  Candidate* heaps;  // [work places, tokens, k]
  LogSum* log_sums;  // [tiles, tokens] or null
  size_t tile_rows;
  kernels::WorkPlaces places;
  Found found[kernels::kMaxThreads];

  Candidate* Heap(size_t place, size_t token) const { return heaps + (place * batch.tokens + token) * k; }
};

// Logits of the allowed rows of a tile, one after the other.
struct TileLogits {
  size_t count = 0;
  int64_t ids[kMaxTileRows];
  float logits[kMaxTileRows * kMaxBatch];  // [tokens, kMaxTileRows]

  void Compute(const HeadBatch& batch, size_t first, size_t rows) {
    batch.filter.ForEachRun(first, rows, [&](size_t row, size_t run) {
      RunRows(batch, row, run, logits + count, kMaxTileRows);
      for (size_t r = 0; r < run; ++r) ids[count++] = static_cast<int64_t>(row + r);
    });
  }
};

void OfferTile(const TileLogits& tile, size_t token, BestK* best, size_t* nan_row) {
  const float* logits = tile.logits + token * kMaxTileRows;
  for (size_t i = 0; i < tile.count; ++i) {
    Candidate candidate{logits[i], tile.ids[i]};
    if (std::isnan(candidate.logit)) {
      *nan_row = std::min(*nan_row, static_cast<size_t>(candidate.id));
      candidate.logit = -INFINITY;
    }
    best->Offer(candidate);
  }
}

void TopkTile(void* context, size_t first, size_t count) {
  const kernels::ScopedFloatEnvironment environment;
  TopkJob& job = *static_cast<TopkJob*>(context);
  if (job.batch.is_cancelled()) return;
  TileLogits tile;
  tile.Compute(job.batch, first, count);
  for (size_t t = 0; job.log_sums != nullptr && t < job.batch.tokens; ++t) {
    job.log_sums[first / job.tile_rows * job.batch.tokens + t] = LogSum::Of(tile.logits + t * kMaxTileRows, tile.count);
  }
  const size_t place = job.places.Take();
  Found& found = job.found[place];
  size_t filled = found.filled;
  for (size_t t = 0; t < job.batch.tokens; ++t) {
    BestK best{job.Heap(place, t), job.k, found.filled};
    OfferTile(tile, t, &best, &found.nan_row);
    filled = best.filled;
  }
  found.filled = filled;
  job.places.Return(place);
}

size_t TileCount(const HeadBatch& batch) {
  const size_t tile_rows = TileRows(batch.table.row_bytes);
  return (batch.table.rows + tile_rows - 1) / tile_rows;
}

}  // namespace

size_t TopkHeapSize(pthreadpool_t pool, const HeadBatch& batch, size_t k) {
  return pthreadpool_get_threads_count(pool) * batch.tokens * k;
}

size_t TopkLogSumSize(const HeadBatch& batch) { return TileCount(batch) * batch.tokens; }

size_t RunTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* heaps, Candidate* best,
               LogSum* log_sums, LogZ* log_z) {
  PackForTable(batch);
  const size_t places = pthreadpool_get_threads_count(pool);
  const size_t tile_rows = TileRows(batch.table.row_bytes);
  TopkJob job{batch, k, heaps, log_sums, tile_rows, kernels::WorkPlaces(places), {}};
  pthreadpool_parallelize_1d_tile_1d(pool, TopkTile, &job, batch.table.rows, tile_rows, /*flags=*/0);
  size_t nan_row = kNoRow;
  for (size_t place = 0; place < places; ++place) nan_row = std::min(nan_row, job.found[place].nan_row);
  for (size_t t = 0; t < batch.tokens; ++t) {
    BestK merged{best + t * k, k, 0};
    for (size_t place = 0; place < places; ++place) {
      for (size_t i = 0; i < job.found[place].filled; ++i) merged.Offer(job.Heap(place, t)[i]);
    }
    merged.Sort();
    if (log_sums != nullptr) log_z[t] = LogOfSum(log_sums + t, TileCount(batch), batch.tokens, batch.table.rows);
  }
  return nan_row;
}

}  // namespace tied::runtime
