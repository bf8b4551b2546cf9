#include "runtime/compute/thread_pool.h"

#include <pthread.h>

#include <csignal>

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

// While it exists, threads that start inherit a mask that blocks the application's signals: the system then gives them
// to a thread that expects them. Signals of faults stay, for the application's crash handler.
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t blocked;
    sigfillset(&blocked);
    constexpr int kFaults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    for (const int fault : kFaults) sigdelset(&blocked, fault);
    pthread_sigmask(SIG_BLOCK, &blocked, &mask_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &mask_, nullptr); }
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

 private:
  sigset_t mask_;
};

}  // namespace

// pthreadpool_create() waits for ever for a thread that could not be started, so starting them is tried first. It can
// still hang if another process takes the last thread in between.
ThreadPool CreateThreadPool(size_t threads) {
  const WithoutSignals inherited;
  return ThreadPool(CanStart(threads - 1) ? pthreadpool_create(threads) : nullptr);
}

}  // namespace tied::runtime
