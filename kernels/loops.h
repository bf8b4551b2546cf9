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

// While a tile works on block after block of its rows, the next tile's rows, which follow in memory, are fetched into
// the cache: short rows end before a CPU's own prefetcher has found their stream. With one group of tokens a tile
// fetches them all. With more the time goes into arithmetic and the memory would idle: each group fetches one row.
// Nothing is read: behind the end of a table it does no harm.
class FetchAhead {
 public:
  // The tile of `rows` rows of row_bytes each at `tile`, for its group of that number.
  FetchAhead(const void* tile, size_t rows, size_t row_bytes, size_t block_bytes, size_t group, bool only_group)
      : next_(static_cast<const char*>(tile)), step_(only_group ? rows * block_bytes : block_bytes) {
    if (group < rows) next_ += (rows + group) * row_bytes;
  }

  // For one block of each of the rows, block_bytes * rows = `bytes`.
  template <size_t bytes>
  inline __attribute__((always_inline)) void Block(size_t block) const {
    constexpr size_t kLine = 64;
    TIED_UNROLL for (size_t i = 0; i < bytes; i += kLine) {
      if (i < step_) __builtin_prefetch(next_ + block * step_ + i);
    }
  }

 private:
  const char* next_;
  size_t step_;
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_LOOPS_H_
