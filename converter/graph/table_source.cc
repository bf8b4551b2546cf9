#include "converter/graph/table_source.h"

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/input_file.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

constexpr size_t kMostThreads = 8;  // more would wait for the disk
constexpr size_t kBlockBytes = 8u << 20;
// Of a block that one of several threads reads: it and what is made of it fit into the caches of most CPUs. A
// transposed table is read in runs along its columns, which are too short in small blocks.
constexpr size_t kThreadBlockBytes = 1u << 20;

uint64_t RowsPerBlock(const TableSource& source, size_t bytes) {
  return std::max<uint64_t>(1, bytes / (source.cols() * sizeof(float)));
}

std::shared_ptr<const InputFile> OpenFile(const TableSource& source) {
  if (source.tensor.path.empty()) return nullptr;
  auto file = std::make_shared<const InputFile>(source.tensor.path);
  (void)posix_fadvise(file->descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return file;
}

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

int SignedNibble(int nibble) { return (nibble ^ 8) - 8; }

// Reads the rows of a table block by block.
class BlockReader {
 public:
  BlockReader(const TableSource& source, std::shared_ptr<const InputFile> file)
      : source_(source),
        cols_(static_cast<size_t>(source.cols())),
        row_bytes_(source.stored_row_bytes()),
        file_(std::move(file)) {}

  // Valid until the next call.
  RowBlock Read(const RowRun& run) {
    const size_t count = run.count;
    next_ = run.first;
    first_ = source_.IdOf(next_);
    const auto span = static_cast<size_t>(source_.IdOf(next_ + count - 1) - first_ + 1);
    stored_.resize((span * row_bytes_ + sizeof(float) - 1) / sizeof(float));
    auto* stored = reinterpret_cast<char*>(stored_.data());
    if (source_.transposed) {
      ReadTransposed(span, stored);
    } else {
      ReadBytes(first_ * row_bytes_, stored, span * row_bytes_);
    }
    if (source_.quantised()) ReadQuantisation(span);
    if (count < span) MoveKeptToFront(count, stored);
    RowBlock block{next_, count, Values(stored, count), stored, nullptr, nullptr};
    if (source_.quantised()) block.scales = scales_.data();
    if (source_.quantised()) block.zero_points = zero_points_.data();
    return block;
  }

 private:
  // Of the rows that were read.
  void MoveKeptToFront(size_t count, char* stored) {
    const size_t per_row = source_.quantised() ? source_.scales_per_row() : 0;
    for (size_t r = 0; r < count; ++r) {
      const auto from = static_cast<size_t>(source_.IdOf(next_ + r) - first_);
      std::memmove(stored + r * row_bytes_, stored + from * row_bytes_, row_bytes_);
      for (size_t i = 0; i < per_row; ++i) {
        scales_[r * per_row + i] = scales_[from * per_row + i];
        zero_points_[r * per_row + i] = zero_points_[from * per_row + i];
      }
    }
  }

  void ReadBytes(uint64_t first, char* bytes, size_t size) const {
    if (file_ == nullptr) {
      source_.tensor.ReadRange(first, bytes, size);
    } else {
      file_->ReadAt(source_.tensor.offset + first, bytes, size);
      source_.tensor.MapBytes(bytes, size);
    }
  }

  void ReadTransposed(size_t count, char* stored) {
    if (source_.quantised() && source_.tensor.quantisation->bits == 4) return TransposeNibbles(count, stored);
    switch (ElementSize(source_.tensor.type)) {
      case 4:
        return TransposeColumns<uint32_t>(count, reinterpret_cast<uint32_t*>(stored));
      case 2:
        return TransposeColumns<uint16_t>(count, reinterpret_cast<uint16_t*>(stored));
      default:
        return TransposeColumns<uint8_t>(count, reinterpret_cast<uint8_t*>(stored));
    }
  }

  // A run of `count` elements from each stored row is a column of the block.
  template <class Element>
  void TransposeColumns(size_t count, Element* block) {
    run_.resize((kRuns * count * sizeof(Element) + sizeof(float) - 1) / sizeof(float));
    auto* run = reinterpret_cast<Element*>(run_.data());
    for (size_t col = 0; col < cols_; col += kRuns) {
      const size_t runs = std::min(kRuns, cols_ - col);
      for (size_t i = 0; i < runs; ++i) {
        ReadBytes(((col + i) * source_.vocabulary() + first_) * sizeof(Element),
                  reinterpret_cast<char*>(run + i * count), count * sizeof(Element));
      }
      for (size_t r = 0; r < count; ++r) {
        for (size_t i = 0; i < runs; ++i) block[r * cols_ + col + i] = run[i * count + r];
      }
    }
  }

  // The same of four-bit integers, which follow each other through all stored rows.
  void TransposeNibbles(size_t count, char* block) {
    std::memset(block, 0, count * row_bytes_);
    for (size_t col = 0; col < cols_; ++col) {
      const uint64_t first = col * source_.vocabulary() + first_;
      std::vector<char> run((first + count + 1) / 2 - first / 2);
      ReadBytes(first / 2, run.data(), run.size());
      for (size_t r = 0; r < count; ++r) {
        const size_t place = static_cast<size_t>(first % 2) + r;
        const int nibble = static_cast<unsigned char>(run[place / 2]) >> (place % 2 * 4) & 15;
        char& byte = block[r * row_bytes_ + col / 2];
        byte = static_cast<char>(static_cast<unsigned char>(byte) | nibble << (col % 2 * 4));
      }
    }
  }

  // Scales and zero points of the rows first_ … first_ + count.
  void ReadQuantisation(size_t count) {
    const size_t per_row = source_.scales_per_row();
    if (per_row == 0 && !scales_.empty()) return;
    const size_t first = per_row == 0 ? 0 : static_cast<size_t>(first_);
    const size_t rows = per_row == 0 ? 1 : count;
    const size_t scales = std::max<size_t>(per_row, 1);
    if (source_.transposed && source_.tensor.quantisation->block > 0) return ReadTransposedQuantisation(rows, scales);
    scales_ = ReadScales(first * scales, rows * scales);
    ReadZeroPoints(first, rows, scales);
  }

  // A run of `count` scales, and of zero points, of each block of columns.
  void ReadTransposedQuantisation(size_t count, size_t blocks) {
    const Quantisation& quantisation = *source_.tensor.quantisation;
    const auto bits = static_cast<size_t>(quantisation.bits);
    scales_.resize(count * blocks);
    zero_points_.assign(count * blocks, quantisation.default_zero_point);
    for (size_t block = 0; block < blocks; ++block) {
      const size_t first = block * static_cast<size_t>(source_.vocabulary()) + static_cast<size_t>(first_);
      const std::vector<float> scales = ReadScales(first, count);
      for (size_t r = 0; r < count; ++r) scales_[r * blocks + block] = scales[r];
      if (quantisation.zero_points.length == 0) continue;
      const size_t begin = first * bits / 8;
      std::vector<char> bytes(((first + count) * bits + 7) / 8 - begin);
      quantisation.zero_points.ReadRange(begin, bytes.data(), bytes.size());
      const size_t skipped = first % (8 / bits);
      for (size_t r = 0; r < count; ++r) zero_points_[r * blocks + block] = Integer(bytes.data(), skipped + r);
    }
  }

  std::vector<float> ReadScales(size_t first, size_t count) const {
    TensorRef part = source_.tensor.quantisation->scales;
    const size_t size = ElementSize(part.type);
    std::string bytes(count * size, '\0');
    part.ReadRange(first * size, bytes.data(), bytes.size());
    part.SetBytes(std::move(bytes));
    return part.ReadFloats();
  }

  void ReadZeroPoints(size_t first, size_t rows, size_t scales) {
    const Quantisation& quantisation = *source_.tensor.quantisation;
    zero_points_.assign(rows * scales, quantisation.default_zero_point);
    if (quantisation.zero_points.length == 0) return;
    const size_t stored = quantisation.block > 0 ? quantisation.zero_points_per_row : 1;
    const size_t begin = first * stored * static_cast<size_t>(quantisation.bits) / 8;
    const size_t end = ((first + rows) * stored * static_cast<size_t>(quantisation.bits) + 7) / 8;
    std::vector<char> bytes(end - begin);
    quantisation.zero_points.ReadRange(begin, bytes.data(), bytes.size());
    const size_t skipped = first * stored % (8 / static_cast<size_t>(quantisation.bits));
    for (size_t i = 0; i < rows * scales; ++i) {
      zero_points_[i] = Integer(bytes.data(), skipped + i / scales * stored + i % scales);
    }
  }

  // Number `i` of a row of integers.
  int Integer(const char* row, size_t i) const {
    const bool is_signed = source_.tensor.type == ElementType::kInt8 || source_.tensor.type == ElementType::kInt4;
    if (source_.tensor.quantisation->bits == 8) {
      return is_signed ? static_cast<signed char>(row[i]) : static_cast<unsigned char>(row[i]);
    }
    const int nibble = static_cast<unsigned char>(row[i / 2]) >> (i % 2 * 4) & 15;
    return is_signed ? SignedNibble(nibble) : nibble;
  }

  const float* Values(const char* stored, size_t count) {
    if (source_.tensor.type == ElementType::kFloat32) return stored_.data();
    values_.resize(count * cols_);
    if (source_.quantised()) {
      for (size_t r = 0; r < count; ++r) Dequantise(stored + r * row_bytes_, r);
      return values_.data();
    }
    const auto* bits = reinterpret_cast<const uint16_t*>(stored);
    const bool half = source_.tensor.type == ElementType::kFloat16;
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = half ? FloatOfHalf(bits[i]) : FloatOfBFloat(bits[i]);
    return values_.data();
  }

  void Dequantise(const char* stored, size_t row) {
    const size_t per_row = source_.scales_per_row();
    const auto block = static_cast<size_t>(source_.tensor.quantisation->block);
    const size_t run = block == 0 ? cols_ : block;
    float* values = &values_[row * cols_];
    for (size_t first = 0; first < cols_; first += run) {
      const size_t scale = row * per_row + first / run;
      const size_t end = std::min(cols_, first + run);
      for (size_t k = first; k < end; ++k) {
        values[k] = static_cast<float>(Integer(stored, k) - zero_points_[scale]) * scales_[scale];
      }
    }
  }

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

// Several threads read and prepare blocks; they finish them one at a time, in the order of the rows.
class BlockPipeline {
 public:
  BlockPipeline(const TableSource& source, const TableSource::Prepare& prepare, const TableSource::Finish& finish)
      : source_(source),
        file_(OpenFile(source)),
        prepare_(prepare),
        finish_(finish),
        runs_(source, RowsPerBlock(source, source.transposed ? kBlockBytes : kThreadBlockBytes)) {}

  // One thread's part. After an error in one block, no later block is finished.
  void Run(size_t thread) {
    BlockReader reader(source_, file_);
    for (std::optional<RowRun> run = Claim(); run; run = Claim()) {
      RowBlock block = {};
      std::exception_ptr error;
      try {
        block = reader.Read(*run);
        prepare_(thread, block);
      } catch (...) {
        error = std::current_exception();
      }
      if (WaitForTurn(run->index)) Finish(thread, block, error);
      PassTurn();
    }
  }

  void ThrowError() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::optional<RowRun> Claim() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_ || runs_.done()) return std::nullopt;
    return runs_.Next();
  }

  // Returns false if the blocks before it have stopped the work.
  bool WaitForTurn(uint64_t index) {
    std::unique_lock<std::mutex> lock(mutex_);
    turn_changed_.wait(lock, [&] { return turn_ == index; });
    return !stopped_;
  }

  // Only the thread that has the turn is here.
  void Finish(size_t thread, const RowBlock& block, const std::exception_ptr& error) {
    bool stop = true;
    try {
      if (error) std::rethrow_exception(error);
      stop = !finish_(thread, block);
    } catch (...) {
      error_ = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = stop;
  }

  void PassTurn() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++turn_;
    turn_changed_.notify_all();
  }

  const TableSource& source_;
  const std::shared_ptr<const InputFile> file_;
  const TableSource::Prepare& prepare_;
  const TableSource::Finish& finish_;
  std::exception_ptr error_;
  std::mutex mutex_;  // of what follows
  std::condition_variable turn_changed_;
  RowRuns runs_;
  uint64_t turn_ = 0;
  bool stopped_ = false;
};

}  // namespace

size_t TableSource::scales_per_row() const {
  const Quantisation& quantisation = *tensor.quantisation;
  if (quantisation.block == 0) return quantisation.scales.elements() > 1 ? 1 : 0;
  return static_cast<size_t>((cols() - 1) / static_cast<uint64_t>(quantisation.block) + 1);
}

size_t TableSource::stored_row_bytes() const {
  if (quantised() && tensor.quantisation->row_bytes > 0) return tensor.quantisation->row_bytes;
  return static_cast<size_t>(cols()) * ElementSize(tensor.type);
}

void TableSource::CheckQuantisation(const std::string& what) const {
  const Quantisation& quantisation = *tensor.quantisation;
  const uint64_t scales = quantisation.scales.elements();
  const uint64_t zero_points = quantisation.zero_points.length;
  if (zero_points != 0 && quantisation.zero_points.type != tensor.type) {
    throw ConvertError(what + ": its zero points are of another type than its integers");
  }
  if (!IsFloat(quantisation.scales.type)) throw ConvertError(what + ": its scales are no floating-point numbers");
  if (quantisation.block > 0) {
    if (quantisation.axis != (transposed ? 1 : 0)) {
      throw ConvertError(what + ": blocks that run along the vocabulary are not supported");
    }
    if (scales != vocabulary() * scales_per_row()) {
      throw ConvertError(what + ": has " + std::to_string(scales) + " scales, blocks of " +
                         std::to_string(quantisation.block) + " columns need " +
                         std::to_string(vocabulary() * scales_per_row()));
    }
    const uint64_t bits = vocabulary() * quantisation.zero_points_per_row * static_cast<uint64_t>(quantisation.bits);
    if (zero_points != 0 && zero_points != (bits + 7) / 8) {
      throw ConvertError(what + ": its zero points do not fit its scales");
    }
  } else if (scales != 1) {
    if (scales != vocabulary() || quantisation.axis != (transposed ? 1 : 0)) {
      throw ConvertError(what + ": its scales do not run along the vocabulary");
    }
  }
  if (quantisation.block == 0 && zero_points != 0 && zero_points != scales) {
    throw ConvertError(what + ": has " + std::to_string(zero_points) + " zero points for " + std::to_string(scales) +
                       " scales");
  }
}

void TableSource::ForEachBlock(const Visit& visit) const {
  BlockReader reader(*this, OpenFile(*this));
  for (RowRuns runs(*this, RowsPerBlock(*this, kBlockBytes)); !runs.done();) {
    if (!visit(reader.Read(runs.Next()))) return;
  }
}

size_t TableSource::Threads() { return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMostThreads); }

void TableSource::ForEachBlockInThreads(size_t threads, const Prepare& prepare, const Finish& finish) const {
  BlockPipeline pipeline(*this, prepare, finish);
  std::vector<std::future<void>> others;
  // With both policies allowed, a thread that cannot be started has nothing to do after the caller's, below.
  for (size_t thread = 1; thread < threads; ++thread) {
    others.push_back(std::async(std::launch::async | std::launch::deferred, [&, thread] { pipeline.Run(thread); }));
  }
  pipeline.Run(0);
  for (const std::future<void>& other : others) other.wait();
  pipeline.ThrowError();
}

// Blocks of both have the same rows: how many depends on the width alone.
void ForEachBlockOfBoth(const TableSource& a, const TableSource& b, const VisitBoth& visit) {
  BlockReader reader_a(a, OpenFile(a)), reader_b(b, OpenFile(b));
  for (RowRuns runs(a, RowsPerBlock(a, kBlockBytes)); !runs.done();) {
    const RowRun run = runs.Next();
    const RowBlock block_a = reader_a.Read(run);
    if (!visit(block_a, reader_b.Read(run))) return;
  }
}

bool SameValues(const TableSource& a, const TableSource& b, const Progress& progress) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  uint64_t done = 0;
  bool same = true;
  ForEachBlockOfBoth(a, b, [&](const RowBlock& block_a, const RowBlock& block_b) {
    const size_t size = block_a.count * static_cast<size_t>(a.cols()) * sizeof(float);
    same = std::memcmp(block_a.values, block_b.values, size) == 0;
    done += size;
    if (same) progress(done, a.float_bytes());
    return same;
  });
  return same;
}

}  // namespace tied::converter
