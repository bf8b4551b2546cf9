// The rows of a table that a call may use.
#ifndef TIED_RUNTIME_COMPUTE_ROW_FILTER_H_
#define TIED_RUNTIME_COMPUTE_ROW_FILTER_H_

#include <cstddef>
#include <cstdint>

namespace tied::runtime {

// One bit per row, 1 if it is allowed; row 0 is the lowest bit of byte 0. Null: every row is allowed.
struct RowFilter {
  const uint8_t* bits = nullptr;

  bool Allows(size_t row) const { return bits == nullptr || (bits[row / 8] >> row % 8 & 1) != 0; }

  // Number of allowed rows among the first `rows`.
  size_t Count(size_t rows) const {
    size_t count = 0;
    ForEachRun(0, rows, [&](size_t, size_t run) { count += run; });
    return count;
  }

  // Calls run(first, count) for each run of allowed rows in [first, first + count), in ascending order.
  template <class Run>
  void ForEachRun(size_t first, size_t count, const Run& run) const {
    if (bits == nullptr) return run(first, count);
    const size_t end = first + count;
    while (first < end) {
      while (first < end && !Allows(first)) first += first % 8 == 0 && bits[first / 8] == 0 ? 8 : 1;
      size_t last = first;
      while (last < end && Allows(last)) ++last;
      if (last > first) run(first, last - first);
      first = last + 1;
    }
  }
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_ROW_FILTER_H_
