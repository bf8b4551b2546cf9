#include "runtime/compute/thread_pool.h"

#include <pthread.h>

#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

void* PassGate(void* gate) {
  auto* const mutex = static_cast<pthread_mutex_t*>(gate);
  pthread_mutex_lock(mutex);
  pthread_mutex_unlock(mutex);
  return nullptr;
}

// True if `count` threads can run at once.
bool CanStart(size_t count) {
  pthread_t threads[kernels::kMaxThreads];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&gate);
  size_t started = 0;
  while (started < count && pthread_create(&threads[started], nullptr, PassGate, &gate) == 0) ++started;
  pthread_mutex_unlock(&gate);
  for (size_t i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
  return started == count;
}

}  // namespace

// pthreadpool_create() waits for ever for a thread that could not be started, so starting them is tried first. It can
// still hang if another process takes the last thread in between.
ThreadPool CreateThreadPool(size_t threads) {
  return ThreadPool(CanStart(threads - 1) ? pthreadpool_create(threads) : nullptr);
}

}  // namespace tied::runtime
