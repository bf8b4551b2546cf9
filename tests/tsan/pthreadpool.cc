// The part of pthreadpool that tied uses, built on functions that the thread sanitizer intercepts. As in pthreadpool,
// tiles are not ordered, so that a race between two tiles, or between a tile and the caller, is detected.
#include <pthreadpool.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

struct pthreadpool {
 public:
  explicit pthreadpool(size_t threads) {
    for (size_t i = 1; i < threads; ++i) threads_.emplace_back([this] { Serve(); });
  }

  ~pthreadpool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    start_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  size_t size() const { return threads_.size() + 1; }

  void Run(size_t tiles, const std::function<void(size_t)>& tile) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tile_ = &tile;
      tiles_ = tiles;
      next_.store(0, std::memory_order_relaxed);
      working_ = threads_.size();
      ++run_;
    }
    start_.notify_all();
    RunTiles();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return working_ == 0; });
  }

 private:
  void RunTiles() {
    for (;;) {
      const size_t tile = next_.fetch_add(1, std::memory_order_relaxed);
      if (tile >= tiles_) return;
      (*tile_)(tile);
    }
  }

  void Serve() {
    size_t served = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      start_.wait(lock, [&] { return stopped_ || run_ != served; });
      if (stopped_) return;
      served = run_;
      lock.unlock();
      RunTiles();
      lock.lock();
      if (--working_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable start_, done_;
  bool stopped_ = false;
  size_t run_ = 0;
  size_t working_ = 0;
  const std::function<void(size_t)>* tile_ = nullptr;
  size_t tiles_ = 0;
  std::atomic<size_t> next_{0};
  std::vector<std::thread> threads_;
};

pthreadpool_t pthreadpool_create(size_t threads_count) { return new pthreadpool(threads_count); }

size_t pthreadpool_get_threads_count(pthreadpool_t threadpool) {
  return threadpool == nullptr ? 1 : threadpool->size();
}

void pthreadpool_destroy(pthreadpool_t threadpool) { delete threadpool; }

void pthreadpool_parallelize_1d(pthreadpool_t threadpool, pthreadpool_task_1d_t function, void* context, size_t range,
                                uint32_t) {
  const auto one = [&](size_t i) { function(context, i); };
  if (threadpool != nullptr) return threadpool->Run(range, one);
  for (size_t i = 0; i < range; ++i) one(i);
}

void pthreadpool_parallelize_1d_tile_1d(pthreadpool_t threadpool, pthreadpool_task_1d_tile_1d_t function, void* context,
                                        size_t range, size_t tile, uint32_t flags) {
  struct Tiles {
    pthreadpool_task_1d_tile_1d_t function;
    void* context;
    size_t range, tile;
  } tiles{function, context, range, tile};
  const auto one = [](void* all, size_t i) {
    const Tiles& of = *static_cast<const Tiles*>(all);
    const size_t first = i * of.tile;
    of.function(of.context, first, first + of.tile < of.range ? of.tile : of.range - first);
  };
  pthreadpool_parallelize_1d(threadpool, one, &tiles, (range + tile - 1) / tile, flags);
}
