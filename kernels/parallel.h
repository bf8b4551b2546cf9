// Processes a range of items in tiles, on the threads of a pool.
#ifndef TIED_KERNELS_PARALLEL_H_
#define TIED_KERNELS_PARALLEL_H_

#include <pthreadpool.h>

#include <atomic>
#include <cstddef>

#include "kernels/float_environment.h"

namespace tied::kernels {

inline constexpr size_t kMaxThreads = 256;

// The items [first, first + count), and the worker that processes them.
struct Tile {
  size_t first;
  size_t count;
  size_t worker;  // below the number of threads; different for tiles that run at the same time
};

// Hands out numbers to tiles that run at the same time. pthreadpool does not say which thread runs a tile; a tile takes
// any free number instead.
class Workers {
 public:
  // count: at most kMaxThreads.
  explicit Workers(size_t count) : count_(count) {}

  // A number below `count` that no other tile gets until Return(). One is always free.
  size_t Take() {
    for (size_t i = 0;; i = (i + 1) % count_) {
      if (!taken_[i].exchange(true, std::memory_order_acquire)) return i;
    }
  }
  void Return(size_t worker) { taken_[worker].store(false, std::memory_order_release); }

 private:
  const size_t count_;
  std::atomic<bool> taken_[kMaxThreads] = {};
};

// Calls run(tile) for tiles of at most tile_items that together cover [0, items), in any order, on `pool` (null: on the
// calling thread), each within a ScopedFloatEnvironment. Once `cancelled` is true the remaining tiles are skipped.
template <class Run>
void ForEachTile(pthreadpool_t pool, const std::atomic<bool>& cancelled, size_t items, size_t tile_items,
                 const Run& run) {
  Workers workers(pthreadpool_get_threads_count(pool));
  const auto run_tile = [&](size_t first, size_t count) {
    if (cancelled.load(std::memory_order_relaxed)) return;
    const ScopedFloatEnvironment environment;
    const size_t worker = workers.Take();
    run(Tile{first, count, worker});
    workers.Return(worker);
  };
  pthreadpool_parallelize_1d_tile_1d(pool, run_tile, items, tile_items);
}

}  // namespace tied::kernels

#endif  // TIED_KERNELS_PARALLEL_H_
