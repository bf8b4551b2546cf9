#include "tools/tied/bench/read_bandwidth.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "tools/tied/bench/timing.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TIED_CLI_X86
#endif

namespace tied::cli {

namespace {

// Small enough that the others wait little for a delayed thread.
constexpr size_t kChunk = size_t{1} << 20;

// Uses several accumulators, because each addition to a single one would wait for the one before. Each has Words 64-bit
// words.
template <size_t Words, size_t Registers>
__attribute__((always_inline)) inline uint64_t XorAll(const unsigned char* data, size_t bytes) {
  typedef uint64_t Vector __attribute__((vector_size(Words * sizeof(uint64_t)), aligned(8)));
  constexpr size_t kStep = sizeof(Vector) * Registers;
  Vector sum[Registers] = {};
  size_t offset = 0;
  for (; offset + kStep <= bytes; offset += kStep) {
    for (size_t i = 0; i < Registers; ++i) {
      Vector loaded;
      std::memcpy(&loaded, data + offset + i * sizeof(Vector), sizeof(Vector));
      sum[i] ^= loaded;
    }
  }
  uint64_t result = 0;
  for (size_t i = 0; i < Registers; ++i) {
    for (size_t word = 0; word < Words; ++word) result ^= sum[i][word];
  }
  for (; offset < bytes; ++offset) result ^= data[offset];
  return result;
}

uint64_t Read128(const unsigned char* data, size_t bytes) { return XorAll<2, 8>(data, bytes); }

#if defined(TIED_CLI_X86)
__attribute__((target("avx2"))) uint64_t ReadAvx2(const unsigned char* data, size_t bytes) {
  return XorAll<4, 8>(data, bytes);
}
__attribute__((target("avx512f"))) uint64_t ReadAvx512(const unsigned char* data, size_t bytes) {
  return XorAll<8, 8>(data, bytes);
}
#endif

std::vector<ReadLoop> Loops() {
  std::vector<ReadLoop> loops = {{"128-bit", Read128}};
#if defined(TIED_CLI_X86)
  if (__builtin_cpu_supports("avx2")) loops.push_back({"256-bit", ReadAvx2});
  if (__builtin_cpu_supports("avx512f")) loops.push_back({"512-bit", ReadAvx512});
#endif
  return loops;
}

}  // namespace

Reader::Reader(size_t threads) : loop_(Loops().front()) {
  for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
}

Reader::~Reader() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Reader::Calibrate(const void* data, size_t bytes) {
  constexpr int kTries = 5;
  const std::vector<ReadLoop> loops = Loops();
  std::vector<double> best(loops.size(), std::numeric_limits<double>::infinity());
  for (int attempt = 0; attempt < kTries; ++attempt) {
    for (size_t i = 0; i < loops.size(); ++i) {
      loop_ = loops[i];
      best[i] = std::min(best[i], Read(data, bytes));
    }
  }
  loop_ = loops[static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin())];
}

double Reader::Read(const void* data, size_t bytes) {
  const Stopwatch watch;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    data_ = static_cast<const unsigned char*>(data);
    bytes_ = bytes;
    next_chunk_ = 0;
    running_ = workers_.size();
    ++pass_;
  }
  start_.notify_all();
  ReadChunks();
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
  return watch.Seconds();
}

void Reader::Work() {
  uint64_t seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    start_.wait(lock, [&] { return stop_ || pass_ != seen; });
    if (stop_) return;
    seen = pass_;
    lock.unlock();
    ReadChunks();
    lock.lock();
    if (--running_ == 0) done_.notify_one();
  }
}

void Reader::ReadChunks() {
  uint64_t sum = 0;
  while (true) {
    const size_t offset = next_chunk_.fetch_add(1) * kChunk;
    if (offset >= bytes_) break;
    sum ^= loop_.read(data_ + offset, std::min(kChunk, bytes_ - offset));
  }
  sink_ ^= sum;  // uses the result, so that the loop is not optimised away
}

}  // namespace tied::cli
