// What the loops of the drivers share. Included only by files of one instruction set.
#ifndef TIED_KERNELS_LOOPS_H_
#define TIED_KERNELS_LOOPS_H_

#include <cstddef>

// Before a loop over sums: they stay in registers only if every such loop is unrolled.
#if defined(__clang__)
#define TIED_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TIED_UNROLL _Pragma("GCC unroll 16")
#endif

namespace tied::kernels {
namespace {

// While a tile works on block after block of its rows, rows that follow in memory are fetched into the cache. Rows that
// are shorter than a page end before a CPU's own prefetcher has found their stream: with one group of tokens a tile
// fetches as much as it reads, of the first tile that starts more than kAhead bytes after it. Otherwise it fetches one
// row of the next tile in each group: for long rows that gives the prefetcher time, and with many groups, where the
// time goes into arithmetic, it keeps the memory busy. Nothing is read: behind the end of a table it does no harm.
class FetchAhead {
 public:
  // The tile of `rows` rows of row_bytes each at `tile`, for its group of that number.
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

  // For one block of each of the rows, block_bytes * rows = `bytes`.
  template <size_t bytes>
  inline __attribute__((always_inline)) void Block(size_t block) const {
    constexpr size_t kLine = 64;
    TIED_UNROLL for (size_t i = 0; i < bytes; i += kLine) {
      if (i < step_) __builtin_prefetch(next_ + block * step_ + i, 0, kLocality);
    }
  }

 private:
  static constexpr size_t kPage = 4096;
  // What was fastest on an Intel Xeon with AVX-512, into the second-level cache, and on Zen 3, into the first.
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
