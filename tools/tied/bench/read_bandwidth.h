// Measures how fast this machine reads memory, for comparison with the head.
#ifndef TIED_TOOLS_TIED_BENCH_READ_BANDWIDTH_H_
#define TIED_TOOLS_TIED_BENCH_READ_BANDWIDTH_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tied::cli {

// A loop that loads every byte and does little else.
struct ReadLoop {
  const char* name;
  uint64_t (*read)(const unsigned char* data, size_t bytes);
};

// Reads memory with a pool of threads, including the calling thread.
class Reader {
 public:
  explicit Reader(size_t threads);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Tries the loops that this CPU can run over `data`, a few times each, and keeps the fastest.
  void Calibrate(const void* data, size_t bytes);

  // Seconds that one pass over `data` takes.
  double Read(const void* data, size_t bytes);

  const char* loop_name() const { return loop_.name; }

 private:
  void Work();
  void ReadChunks();

  ReadLoop loop_;
  const unsigned char* data_ = nullptr;
  size_t bytes_ = 0;
  std::atomic<size_t> next_chunk_{0};
  std::atomic<uint64_t> sink_{0};

  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  uint64_t pass_ = 0;
  size_t running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_READ_BANDWIDTH_H_
