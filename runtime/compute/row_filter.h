// Which rows of a table a call may use.
#ifndef TIED_RUNTIME_COMPUTE_ROW_FILTER_H_
#define TIED_RUNTIME_COMPUTE_ROW_FILTER_H_

#include <cstddef>
#include <cstdint>

namespace tied::runtime {

// A bit for each row, the lowest of byte 0 for row 0: 1 for allowed. Null bits: every row is.
struct RowFilter {
  const uint8_t* bits = nullptr;

  bool Allows(size_t row) const { return bits == nullptr || (bits[row / 8] >> row % 8 & 1) != 0; }

  // Allowed rows of the first `rows`.
  size_t Count(size_t rows) const {
    size_t count = 0;
    ForEachRun(0, rows, [&](size_t, size_t run) { count += run; });
    return count;
  }

  // Calls run(first, count) for the runs of allowed rows in [first, first + count), from the lowest.
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
