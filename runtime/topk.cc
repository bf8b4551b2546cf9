#include "runtime/topk.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

bool Better(const Candidate& a, const Candidate& b) { return a.BetterThan(b); }

// Keeps the k best of what it is offered, in a heap with the worst of them on top.
struct BestK {
  Candidate* heap;
  size_t k;
  size_t filled;

  void Offer(const Candidate& candidate) {
    if (filled < k) {
      heap[filled++] = candidate;
    } else if (candidate.BetterThan(heap[0])) {
      std::pop_heap(heap, heap + k, Better);
      heap[k - 1] = candidate;
    } else {
      return;
    }
    std::push_heap(heap, heap + filled, Better);
  }
};

// What the tiles that ran in one work place have found.
struct Found {
  size_t filled = 0;  // entries in each token's heap
  size_t nan_row = kNoRow;
};

struct TopkJob {
  const HeadBatch& batch;
  size_t k;
  Candidate* heaps;  // [work places, tokens, k]
  kernels::WorkPlaces places;
  Found found[kernels::kMaxThreads];

  Candidate* Heap(size_t place, size_t token) const { return heaps + (place * batch.tokens + token) * k; }
};

void TopkTile(void* context, size_t first, size_t count) {
  TopkJob& job = *static_cast<TopkJob*>(context);
  float logits[kMaxTileRows * kMaxBatch];
  if (!RunTile(job.batch, first, count, logits, count)) return;
  const size_t place = job.places.Take();
  Found& found = job.found[place];
  size_t filled = found.filled;
  for (size_t t = 0; t < job.batch.tokens; ++t) {
    BestK best{job.Heap(place, t), job.k, found.filled};
    for (size_t r = 0; r < count; ++r) {
      Candidate candidate{logits[t * count + r], static_cast<int64_t>(first + r)};
      if (std::isnan(candidate.logit)) {
        found.nan_row = std::min(found.nan_row, first + r);
        candidate.logit = -INFINITY;
      }
      best.Offer(candidate);
    }
    filled = best.filled;
  }
  found.filled = filled;
  job.places.Return(place);
}

}  // namespace

size_t RunTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* heaps, Candidate* best) {
  const size_t places = pthreadpool_get_threads_count(pool);
  TopkJob job{batch, k, heaps, kernels::WorkPlaces(places), {}};
  ForEachTile(pool, batch.table, TopkTile, &job);
  size_t nan_row = kNoRow;
  for (size_t place = 0; place < places; ++place) nan_row = std::min(nan_row, job.found[place].nan_row);
  for (size_t t = 0; t < batch.tokens; ++t) {
    BestK merged{best + t * k, k, 0};
    for (size_t place = 0; place < places; ++place) {
      for (size_t i = 0; i < job.found[place].filled; ++i) merged.Offer(job.Heap(place, t)[i]);
    }
    std::sort_heap(merged.heap, merged.heap + merged.filled, Better);
  }
  return nan_row;
}

}  // namespace tied::runtime
