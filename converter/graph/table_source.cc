#include "converter/graph/table_source.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/input_file.h"
#include "converter/graph/block_reader.h"

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

// Several threads read and prepare blocks; they finish them one at a time, in the order of the rows.
class BlockPipeline {
 public:
  BlockPipeline(const TableSource& source, const TableSource::Prepare& prepare, const TableSource::Finish& finish,
                const Progress& progress)
      : source_(source),
        file_(OpenFile(source)),
        prepare_(prepare),
        finish_(finish),
        progress_(progress),
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

  // After all threads, in the caller's.
  void End() {
    if (error_) std::rethrow_exception(error_);
    Report();
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
      finished_rows_ += block.count;
      if (thread == 0) Report();
    } catch (...) {
      error_ = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = stop;
  }

  // To the caller, in its own thread.
  void Report() {
    if (reported_rows_ == finished_rows_) return;
    reported_rows_ = finished_rows_;
    progress_(finished_rows_ * source_.cols() * sizeof(float), source_.float_bytes());
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
  const Progress& progress_;
  std::exception_ptr error_;  // this and the numbers of rows are of the thread that has the turn
  uint64_t finished_rows_ = 0;
  uint64_t reported_rows_ = 0;
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

void TableSource::ForEachBlockInThreads(size_t threads, const Prepare& prepare, const Finish& finish,
                                        const Progress& progress) const {
  BlockPipeline pipeline(*this, prepare, finish, progress);
  std::vector<std::future<void>> others;
  // With both policies allowed, a thread that cannot be started has nothing to do after the caller's, below.
  for (size_t thread = 1; thread < threads; ++thread) {
    others.push_back(std::async(std::launch::async | std::launch::deferred, [&, thread] { pipeline.Run(thread); }));
  }
  pipeline.Run(0);
  for (const std::future<void>& other : others) other.wait();
  pipeline.End();
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
