// Maps rows of a table to token ids and back. Some ids may have been dropped when the model was converted.
#ifndef TIED_RUNTIME_FILE_ID_MAP_H_
#define TIED_RUNTIME_FILE_ID_MAP_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/file/status.h"

namespace tied::runtime {

inline constexpr size_t kNoRow = SIZE_MAX;

struct IdMap {
  const uint32_t* ids;  // [rows], ascending; null: row r is id r
  size_t rows;
  size_t vocabulary;  // ids are below it; at least rows

  // Row r is id r, and no id was dropped.
  bool is_identity() const { return vocabulary == rows; }

  // The result is below the vocabulary even if somebody changes the file after Check().
  size_t IdOf(size_t row) const { return ids == nullptr ? row : std::min<size_t>(ids[row], vocabulary - 1); }

  // The row of an id below the vocabulary; kNoRow if it was dropped.
  size_t RowOf(size_t id) const {
    if (ids == nullptr) return id < rows ? id : kNoRow;
    const uint32_t* found = std::lower_bound(ids, ids + rows, id);
    return found < ids + rows && *found == id ? static_cast<size_t>(found - ids) : kNoRow;
  }

  // Checks that ids ascend and are below the vocabulary. name: file name for messages.
  Status Check(const char* name) const;

  // values: [vocabulary], of which the first [rows] are set. Moves each row's value to the index of its id and sets the
  // others to -infinity.
  void Spread(float* values) const;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_ID_MAP_H_
