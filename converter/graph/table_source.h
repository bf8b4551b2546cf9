// Reads a table of the model row by row.
#ifndef TIED_CONVERTER_GRAPH_TABLE_SOURCE_H_
#define TIED_CONVERTER_GRAPH_TABLE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "converter/graph/tensor_ref.h"

namespace tied::converter {

// Some rows of a table.
struct RowBlock {
  uint64_t first;  // index among the rows of the source
  size_t count;
  const float* values;     // [count, cols]: the rows, dequantised
  const char* stored;      // [count, row bytes]: as they are in the model, row after row
  const float* scales;     // [count, scales of a row], or one for the table; null for tables of floating-point numbers
  const int* zero_points;  // one per scale
};

struct TableSource {
  TensorRef tensor;  // [rows, cols], or [cols, rows] if transposed: floating-point numbers, or quantised integers
  bool transposed = false;
  std::shared_ptr<const std::vector<uint32_t>> kept_ids = nullptr;  // token ids, ascending; null: all

  uint64_t vocabulary() const { return static_cast<uint64_t>(tensor.dims[transposed ? 1 : 0]); }
  uint64_t rows() const { return kept_ids == nullptr ? vocabulary() : kept_ids->size(); }
  uint64_t IdOf(uint64_t row) const { return kept_ids == nullptr ? row : (*kept_ids)[static_cast<size_t>(row)]; }
  uint64_t cols() const { return static_cast<uint64_t>(tensor.dims[transposed ? 0 : 1]); }
  bool SamePlace(const TableSource& other) const {
    return transposed == other.transposed && tensor.SamePlace(other.tensor);
  }
  bool quantised() const { return tensor.quantisation != nullptr; }
  // Bytes of the rows as float32, the unit of Progress.
  uint64_t float_bytes() const { return rows() * cols() * sizeof(float); }

  // Of a quantised table; 0 if the whole table has one scale.
  size_t scales_per_row() const;
  size_t stored_row_bytes() const;

  // Throws ConvertError if the table's scales are not laid out by rows or do not match its shape. what: the table, for
  // the message.
  void CheckQuantisation(const std::string& what) const;

  // Calls visit(block) with the kept rows, in order; visit returns whether to continue. Needs about 16 MB.
  using Visit = std::function<bool(const RowBlock& block)>;
  void ForEachBlock(const Visit& visit) const;

  // Visits the same rows in several threads. prepare(thread, block) runs in all of them at once. finish(thread, block)
  // follows in the same thread, one block at a time in the order of the rows; it returns whether to continue. Threads
  // are numbered from 0, the caller's, in which progress is reported. Blocks do not depend on the number of threads. Of
  // several errors, throws that of the first rows, after all threads have ended.
  using Prepare = std::function<void(size_t thread, const RowBlock& block)>;
  using Finish = std::function<bool(size_t thread, const RowBlock& block)>;
  void ForEachBlockInThreads(size_t threads, const Prepare& prepare, const Finish& finish,
                             const Progress& progress) const;
  static size_t Threads();  // as many as there are CPUs, within limits
};

// Visits two sources of the same shape with the same kept rows, with equal blocks of both.
using VisitBoth = std::function<bool(const RowBlock& a, const RowBlock& b)>;
void ForEachBlockOfBoth(const TableSource& a, const TableSource& b, const VisitBoth& visit);

// True if the dequantised rows of both have the same bits.
bool SameValues(const TableSource& a, const TableSource& b, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_TABLE_SOURCE_H_
