// Reads blocks of rows of a table.
#ifndef TIED_CONVERTER_GRAPH_BLOCK_READER_H_
#define TIED_CONVERTER_GRAPH_BLOCK_READER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/input_file.h"
#include "converter/graph/table_source.h"

namespace tied::converter {

// The file of the table, for its readers; null if the model's graph holds it.
std::shared_ptr<const InputFile> OpenFile(const TableSource& source);

// Kept rows that lie near enough to each other to be read at once.
struct RowRun {
  uint64_t index;  // of the run
  uint64_t first;  // of the rows that are kept
  size_t count;
};

// Divides the kept rows of a table into runs.
class RowRuns {
 public:
  RowRuns(const TableSource& source, uint64_t most_rows) : source_(source), most_rows_(most_rows) {}

  bool done() const { return next_ == source_.rows(); }

  RowRun Next() {
    uint64_t count = std::min(most_rows_, source_.rows() - next_);
    while (source_.IdOf(next_ + count - 1) - source_.IdOf(next_) >= most_rows_) --count;
    const RowRun run = {index_++, next_, static_cast<size_t>(count)};
    next_ += count;
    return run;
  }

 private:
  const TableSource& source_;
  const uint64_t most_rows_;
  uint64_t index_ = 0;
  uint64_t next_ = 0;
};

class BlockReader {
 public:
  BlockReader(const TableSource& source, std::shared_ptr<const InputFile> file)
      : source_(source),
        cols_(static_cast<size_t>(source.cols())),
        row_bytes_(source.stored_row_bytes()),
        file_(std::move(file)) {}

  // Valid until the next call.
  RowBlock Read(const RowRun& run);

 private:
  // Of the rows that were read.
  void MoveKeptToFront(size_t count, char* stored);
  void ReadBytes(uint64_t first, char* bytes, size_t size) const;
  void ReadTransposed(size_t count, char* stored);
  // A run of `count` elements from each stored row is a column of the block.
  template <class Element>
  void TransposeColumns(size_t count, Element* block);
  // The same of four-bit integers, which follow each other through all stored rows.
  void TransposeNibbles(size_t count, char* block);
  // Scales and zero points of the rows first_ … first_ + count.
  void ReadQuantisation(size_t count);
  // A run of `count` scales, and of zero points, of each block of columns.
  void ReadTransposedQuantisation(size_t count, size_t blocks);
  std::vector<float> ReadScales(size_t first, size_t count) const;
  void ReadZeroPoints(size_t first, size_t rows, size_t scales);
  // Number `i` of a row of integers.
  int Integer(const char* row, size_t i) const;
  const float* Values(const char* stored, size_t count);
  void Dequantise(const char* stored, size_t row);

  // Columns that are written together: one cache line.
  static constexpr size_t kRuns = 16;

  const TableSource& source_;
  const size_t cols_;
  const size_t row_bytes_;
  const std::shared_ptr<const InputFile> file_;
  uint64_t next_ = 0;          // of the rows that are kept
  uint64_t first_ = 0;         // token id of the first of the block
  std::vector<float> stored_;  // for its alignment
  std::vector<float> values_;
  std::vector<float> scales_;
  std::vector<int> zero_points_;
  std::vector<float> run_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_BLOCK_READER_H_
