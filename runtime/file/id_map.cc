#include "runtime/file/id_map.h"

#include <cinttypes>
#include <cmath>

namespace tied::runtime {

Status IdMap::Check(const char* name) const {
  for (size_t r = 0; ids != nullptr && r < rows; ++r) {
    if (ids[r] < vocabulary && (r == 0 || ids[r - 1] < ids[r])) continue;
    return Status::Error(TIED_CORRUPT, "%s: row %zu has the token id %" PRIu32 "; ids must ascend and be below %zu",
                         name, r, ids[r], vocabulary);
  }
  return Status();
}

// Starts at the last row: ids ascend, so no id is below its row, and values are moved before they are overwritten.
void IdMap::Spread(float* values) const {
  size_t end = vocabulary;
  for (size_t row = rows; row > 0;) {
    --row;
    const size_t id = IdOf(row);
    while (end > id + 1) values[--end] = -INFINITY;
    values[id] = values[row];
    end = id;
  }
  std::fill_n(values, end, -INFINITY);
}

}  // namespace tied::runtime
