// Has a race between two tiles on request. Data passed from the caller to the tiles and back must not count as a race.
#include <pthreadpool.h>

#include <atomic>
#include <cstdio>
#include <cstring>

namespace {

struct Job {
  std::atomic<int> arrived{0};
  int input = 0;
  int results[2] = {};
  int shared = 0;
  bool race = false;
};

// Waits until both tiles are running, in two threads.
void Tile(void* context, size_t i) {
  Job& job = *static_cast<Job*>(context);
  job.arrived.fetch_add(1, std::memory_order_relaxed);
  while (job.arrived.load(std::memory_order_relaxed) < 2) {
  }
  job.results[i] = job.input;
  if (job.race) ++job.shared;
}

}  // namespace

int main(int argc, char** argv) {
  const pthreadpool_t pool = pthreadpool_create(2);
  Job job;
  job.input = 7;
  job.race = argc > 1 && std::strcmp(argv[1], "race") == 0;
  pthreadpool_parallelize_1d(pool, Tile, &job, 2, /*flags=*/0);
  std::printf("%d\n", job.results[0] + job.results[1] + job.shared);
  pthreadpool_destroy(pool);
  return 0;
}
