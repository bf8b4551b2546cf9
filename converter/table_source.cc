#include "converter/table_source.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "converter/file.h"

namespace tied::converter {

namespace {

constexpr size_t kBlockBytes = 8u << 20;

// Reads the rows of a table block by block.
class BlockReader {
 public:
  explicit BlockReader(const TableSource& source)
      : source_(source), rows_per_block_(std::max<uint64_t>(1, kBlockBytes / (source.cols() * sizeof(float)))) {
    if (source.tensor.path.empty()) return;
    file_ = std::make_unique<InputFile>(source.tensor.path);
    (void)posix_fadvise(file_->descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  bool done() const { return next_ == source_.rows(); }

  // The next block; valid until the next call.
  const std::vector<float>& Read() {
    const uint64_t count = std::min(rows_per_block_, source_.rows() - next_);
    block_.resize(static_cast<size_t>(count * source_.cols()));
    if (source_.transposed) {
      ReadTransposed(count);
    } else {
      ReadValues(next_ * source_.cols(), block_.data(), block_.size());
    }
    next_ += count;
    return block_;
  }

 private:
  void ReadValues(uint64_t first, float* values, size_t count) const {
    const uint64_t offset = first * sizeof(float);
    if (file_ == nullptr) {
      std::memcpy(values, source_.tensor.bytes.data() + offset, count * sizeof(float));
    } else {
      file_->ReadAt(source_.tensor.offset + offset, values, count * sizeof(float));
    }
  }

  // A run of `count` values from each stored row is a column of the block.
  void ReadTransposed(uint64_t count) {
    const auto run_length = static_cast<size_t>(count);
    const auto cols = static_cast<size_t>(source_.cols());
    run_.resize(kRuns * run_length);
    for (size_t col = 0; col < cols; col += kRuns) {
      const size_t runs = std::min(kRuns, cols - col);
      for (size_t i = 0; i < runs; ++i) {
        ReadValues((col + i) * source_.rows() + next_, run_.data() + i * run_length, run_length);
      }
      for (size_t r = 0; r < run_length; ++r) {
        for (size_t i = 0; i < runs; ++i) block_[r * cols + col + i] = run_[i * run_length + r];
      }
    }
  }

  // Columns that are written together: one cache line.
  static constexpr size_t kRuns = 16;

  const TableSource& source_;
  const uint64_t rows_per_block_;
  std::unique_ptr<InputFile> file_;
  uint64_t next_ = 0;
  std::vector<float> block_;
  std::vector<float> run_;
};

}  // namespace

void TableSource::ForEachBlock(const Visit& visit) const {
  for (BlockReader reader(*this); !reader.done();) {
    const std::vector<float>& block = reader.Read();
    if (!visit(reinterpret_cast<const char*>(block.data()), block.size() * sizeof(float))) return;
  }
}

bool SameValues(const TableSource& a, const TableSource& b, const Progress& progress) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  uint64_t done = 0;
  BlockReader reader_b(b);
  for (BlockReader reader_a(a); !reader_a.done();) {
    const std::vector<float>& block_a = reader_a.Read();
    const std::vector<float>& block_b = reader_b.Read();
    if (std::memcmp(block_a.data(), block_b.data(), block_a.size() * sizeof(float)) != 0) return false;
    done += block_a.size() * sizeof(float);
    progress(done, a.tensor.length);
  }
  return true;
}

}  // namespace tied::converter
