// Finds the k best of many candidates without sorting all of them.
#ifndef TIED_RUNTIME_COMPUTE_BEST_K_H_
#define TIED_RUNTIME_COMPUTE_BEST_K_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tied::runtime {

// A row that may be part of the result.
struct Candidate {
  float logit;
  int64_t id;

  // The larger logit is better; of equal logits the lower id. A total order if no logit is NaN.
  bool BetterThan(const Candidate& other) const {
    return logit > other.logit || (logit == other.logit && id < other.id);
  }
};

// Keeps the k best candidates that it is offered, in a heap with the worst on top, in the caller's memory.
struct BestK {
  Candidate* heap;  // [k]
  size_t k;
  size_t filled;

  static bool Better(const Candidate& a, const Candidate& b) { return a.BetterThan(b); }

  bool full() const { return filled == k; }
  const Candidate& worst() const { return heap[0]; }

  void Offer(const Candidate& candidate) {
    if (!full()) {
      heap[filled++] = candidate;
    } else if (candidate.BetterThan(heap[0])) {
      std::pop_heap(heap, heap + k, Better);
      heap[k - 1] = candidate;
    } else {
      return;
    }
    std::push_heap(heap, heap + filled, Better);
  }

  // Best first; nothing may be offered afterwards.
  void Sort() { std::sort_heap(heap, heap + filled, Better); }
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_BEST_K_H_
