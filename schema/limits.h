// What a header may hold (FORMAT.md): more than real models need, and so little that the cost of a hostile header is
// bounded by its length.
#ifndef TIED_SCHEMA_LIMITS_H_
#define TIED_SCHEMA_LIMITS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tied::format {

inline constexpr size_t kMaxItems = 256;  // inputs, outputs, tables, entry points: each
inline constexpr size_t kMaxOps = 1024;   // of all entry points
inline constexpr size_t kMaxSelectors = 4096;
inline constexpr uint32_t kMaxFlatbufferTables = 16384;  // above what the other counts allow
inline constexpr size_t kMaxNameBytes = 1024;            // of inputs, outputs, tables, entry points, dimensions
inline constexpr size_t kMaxOriginBytes = 65536;
inline constexpr size_t kMaxOriginLines = 256;
inline constexpr size_t kMaxConstantBytes = 65536;

// Bytes of an entry point's outputs that are stored as one element, not counting dimensions of inputs.
inline constexpr uint64_t kMaxFilledBytes = 1u << 24;

inline constexpr uint64_t kMaxTableRows = INT32_MAX;
inline constexpr uint64_t kMaxTableCols = uint64_t{1} << 30;  // sums of this many 8 x 16 bit products are exact

// Sums of nibbles and quantised hidden states, 8 * 32512 a column at most, stay below 2^31 up to here.
inline constexpr uint64_t kMaxScreenedCols = 8192;

// Columns whose errors a calibrated screen stores.
inline constexpr size_t kScreenColumns = 16;
inline constexpr uint32_t kMaxTopk = 1024;

// The largest vocabulary of a table of which only some rows are in the file.
constexpr uint64_t MaxVocabulary(uint64_t rows) {
  return std::min(kMaxTableRows, std::max(uint64_t{1} << 22, 4 * rows));
}

}  // namespace tied::format

#endif  // TIED_SCHEMA_LIMITS_H_
