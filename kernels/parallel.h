// What the parallel loops over a table share.
#ifndef TIED_KERNELS_PARALLEL_H_
#define TIED_KERNELS_PARALLEL_H_

#include <atomic>
#include <cstddef>

namespace tied::kernels {

inline constexpr size_t kMaxThreads = 256;

// Hands out places to work in, one for each thread of a pool. pthreadpool does not say which thread runs a tile; a
// tile takes any free place instead.
class WorkPlaces {
 public:
  // threads: at most kMaxThreads.
  explicit WorkPlaces(size_t threads) : threads_(threads) {}

  // A number below `threads` that no other tile has until Return(). One is always free.
  size_t Take() {
    for (size_t i = 0;; i = (i + 1) % threads_) {
      if (!taken_[i].exchange(true, std::memory_order_acquire)) return i;
    }
  }
  void Return(size_t place) { taken_[place].store(false, std::memory_order_release); }

 private:
  const size_t threads_;
  std::atomic<bool> taken_[kMaxThreads] = {};
};

}  // namespace tied::kernels

#endif  // TIED_KERNELS_PARALLEL_H_
