// Shared by the loops of dot_float.h and dot_int.h. Include it only in files for one instruction set.
#ifndef TIED_KERNELS_LOOPS_H_
#define TIED_KERNELS_LOOPS_H_

#include <cstddef>
#include <cstring>

// TIED_UNROLL goes before each loop over sums: they stay in registers only if all these loops are unrolled.
// TIED_NO_UNROLL goes before a loop whose body is large and runs long.
#if defined(__clang__)
#define TIED_UNROLL _Pragma("clang loop unroll(full)")
#define TIED_NO_UNROLL _Pragma("nounroll")
#else
#define TIED_UNROLL _Pragma("GCC unroll 16")
#define TIED_NO_UNROLL _Pragma("GCC unroll 1")
#endif

namespace tied::kernels {
namespace {

inline constexpr size_t kLineBytes = 64;

// Fills `tail` [R, block] with the columns of R rows after the last whole block of `block`, and zeros behind them.
template <size_t R, size_t block, class Element>
void CopyRowTails(const Element* rows, size_t cols, Element (&tail)[R * block]) {
  const size_t count = cols % block;
  std::memset(tail, 0, sizeof tail);
  for (size_t r = 0; r < R; ++r) {
    std::memcpy(tail + r * block, rows + (r + 1) * cols - count, count * sizeof(Element));
  }
}

// For loops that read rows one after the other: prefetches, into the L2 cache, as much as such a loop reads, kAhead
// bytes further on. Prefetching past the end of a table is harmless.
struct PrefetchAhead {
  static constexpr size_t kAhead = 8192;  // better than 4096 and 16384 on Zen 5

  // `bytes` are read from `now` on.
  template <size_t bytes>
  static inline __attribute__((always_inline)) void Step(const void* now) {
    const char* const ahead = static_cast<const char*>(now) + kAhead;
    TIED_UNROLL for (size_t i = 0; i < bytes; i += kLineBytes) __builtin_prefetch(ahead + i, 0, 2);
  }
};

// For tiles of several rows: prefetches rows that follow in memory while a tile works through the blocks of its rows.
//  - Rows shorter than a page, one group of tokens: the CPU's prefetcher detects such a stream too late. The tile
//    prefetches as much as it reads, from the first tile that starts more than kAhead bytes after it.
//  - Otherwise it prefetches one row of the next tile with each group. For long rows that gives the CPU's prefetcher
//    time; with many groups, where arithmetic takes the time, it keeps the memory busy.
// Prefetching past the end of a table is harmless.
class FetchAhead {
 public:
  // `tile` has `rows` rows of row_bytes each. group: index of the group of tokens; only_group: there is no other.
  FetchAhead(const void* tile, size_t rows, size_t row_bytes, size_t block_bytes, size_t group, bool only_group)
      : next_(static_cast<const char*>(tile)), step_(block_bytes) {
    const size_t tile_bytes = rows * row_bytes;
    if (only_group && row_bytes < kPage) {
      next_ += (kAhead / tile_bytes + 1) * tile_bytes;
      step_ *= rows;
    } else if (group < rows) {
      next_ += tile_bytes + group * row_bytes;
    }
  }

  // Prefetches for one block of each row: bytes = block_bytes * rows.
  template <size_t bytes>
  inline __attribute__((always_inline)) void Step(const void*) {
    TIED_UNROLL for (size_t i = 0; i < bytes; i += kLineBytes) {
      if (i < step_) __builtin_prefetch(next_ + i, 0, kLocality);
    }
    next_ += step_;
  }

 private:
  static constexpr size_t kPage = 4096;
  // The fastest settings on an Intel Xeon with AVX-512 (into the L2 cache) and on Zen 3 (into the L1 cache).
#if defined(__AVX512F__)
  static constexpr size_t kAhead = kPage / 2 - 1;
  static constexpr int kLocality = 2;
#else
  static constexpr size_t kAhead = kPage;
  static constexpr int kLocality = 3;
#endif

  const char* next_;
  size_t step_;
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_LOOPS_H_
