#include "runtime/compute/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <csignal>

namespace tied::runtime {
namespace {

constexpr size_t kThreads = 4;

// The blocked signals of each thread.
struct Masks {
  std::atomic<size_t> arrived{0};
  pthread_t threads[kThreads];
  sigset_t masks[kThreads];
};

void Record(void* context, size_t task) {
  auto* masks = static_cast<Masks*>(context);
  masks->threads[task] = pthread_self();
  pthread_sigmask(SIG_BLOCK, nullptr, &masks->masks[task]);
  ++masks->arrived;
  while (masks->arrived < kThreads) sched_yield();  // so that each thread gets one task
}

TEST(Workers, BlockTheSignalsOfTheApplication) {
  sigset_t before, after;
  pthread_sigmask(SIG_BLOCK, nullptr, &before);
  const ThreadPool pool = CreateThreadPool(kThreads);
  pthread_sigmask(SIG_BLOCK, nullptr, &after);
  Masks masks;
  pthreadpool_parallelize_1d(pool.get(), Record, &masks, kThreads, 0);
  size_t workers = 0;
  for (size_t i = 0; i < kThreads; ++i) {
    const bool is_worker = pthread_equal(masks.threads[i], pthread_self()) == 0;
    workers += is_worker;
    for (const int signal : {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF, SIGWINCH}) {
      EXPECT_EQ(sigismember(&masks.masks[i], signal), is_worker ? 1 : sigismember(&before, signal)) << signal;
      EXPECT_EQ(sigismember(&after, signal), sigismember(&before, signal)) << signal;
    }
    for (const int fault : {SIGSEGV, SIGBUS, SIGABRT}) EXPECT_EQ(sigismember(&masks.masks[i], fault), 0) << fault;
  }
  EXPECT_EQ(workers, kThreads - 1);
}

}  // namespace
}  // namespace tied::runtime
