// The threads of a session.
#ifndef TIED_RUNTIME_COMPUTE_THREAD_POOL_H_
#define TIED_RUNTIME_COMPUTE_THREAD_POOL_H_

#include <pthreadpool.h>

#include <cstddef>
#include <memory>

namespace tied::runtime {

struct ThreadPoolDeleter {
  void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};
using ThreadPool = std::unique_ptr<struct pthreadpool, ThreadPoolDeleter>;

// A pool of 2 to kMaxThreads threads, including the calling thread; null if they cannot be started.
ThreadPool CreateThreadPool(size_t threads);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_THREAD_POOL_H_
