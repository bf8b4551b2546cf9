#include "runtime/compute/screened_topk.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/parallel.h"
#include "runtime/compute/screened_log_sum.h"
#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

// Rows per step: few enough that their products fit in the L1 cache.
constexpr size_t kChunkRows = 32;

// A logit has no bound if a float32 kernel may overflow while it computes it.
constexpr double kLargest = 1e38;

// A row that may be among the k best, and the bounds of its logit.
struct ShortlistRow {
  double upper;
  double lower;
  size_t row;
};

// The terms that bound the screened logits of one token: |error| <= residual norm * norm + scale * slack + tiny, plus
// kRounding * (|logit| + |error|) for the arithmetic of the bound, for adding a bias in float32, and for storing both
// numbers as float32.
struct TokenBounds {
  double scale;
  double norm;        // of the hidden state, with the rounding errors of a float32 kernel
  double slack;       // error for a row with scale 1
  double fast_slack;  // slack plus kRounding times the largest |sum * scale|
  double reach;       // at least |int8 row| * |hidden|
};

constexpr double kRounding = 0x1p-21;
constexpr double kRoundUp = 1 + 2 * kRounding;

constexpr double kTiny = 0x1p-130;  // roundings of subnormal sums, 2^-150 each, of at most kMaxScreenedCols + 7

// Each inexact operation here rounds by at most 2^-53, and n of them form a chain: a factor of 1 + n * 2^-50 covers
// them.
TokenBounds BoundsOfToken(const HeadBatch& batch, size_t token) {
  const size_t cols = batch.table.cols;
  const float* x = batch.hidden + token * cols;
  const int16_t* q = batch.packed->quantised(token, cols);
  const double scale = batch.packed->scale(token);
  double norm2 = 0;
  double error2 = 0;
  for (size_t k = 0; k < cols; ++k) {
    const double value = static_cast<double>(x[k]);
    const double error = std::fabs(value - scale * q[k]) + std::fabs(value) * 0x1p-50;
    norm2 += value * value;
    error2 += error * error;
  }
  const auto n = static_cast<double>(cols + 8);
  const double up = 1 + n * 0x1p-50;
  const auto roundings = static_cast<double>(kernels::FloatRoundings(cols));
  const double gamma = roundings * 0x1p-24 / (1 - roundings * 0x1p-24);
  const double norm = std::sqrt(norm2) * up + kTiny;
  const double row_norm = 128 * std::sqrt(n);
  const double slack = row_norm * (std::sqrt(error2) + gamma * norm) * up;
  const double largest_sum = 128.0 * kernels::kMaxActivation * n * scale;
  return {scale, norm * (1 + gamma) * up, slack, slack * kRoundUp + largest_sum * kRounding,
          row_norm * norm * kRoundUp};
}

// The rows that may be among the k best of one token, from the tiles of one worker.
struct Shortlist {
  ShortlistRow* list;  // [capacity]
  size_t count;
  BestK best_lower;  // of the lower bounds, rounded down

  // Drops the rows that cannot reach the threshold.
  void Compact(double threshold) {
    count = static_cast<size_t>(
        std::remove_if(list, list + count, [&](const ShortlistRow& s) { return s.upper < threshold; }) - list);
  }
};

float RoundDown(double value) {
  const auto rounded = static_cast<float>(value);
  return static_cast<double>(rounded) <= value ? rounded : std::nextafter(rounded, -INFINITY);
}

class Screening {
 public:
  Screening(pthreadpool_t pool, const HeadBatch& batch, size_t k)
      : pool_(pool),
        batch_(batch),
        k_(k),
        capacity_(4 * k + 2048),
        worker_count_(pthreadpool_get_threads_count(pool)) {}

  bool Allocate(bool with_bounds);
  void Run();
  bool too_many() const { return too_many_.load(std::memory_order_relaxed); }

  // Computes the logits of a token's remaining rows exactly and sorts the best. Returns the lowest row whose logit is
  // NaN, or kNoRow.
  size_t RankExactly(size_t token, Candidate* best, uint64_t* survivors);

  const float* middles(size_t token) const { return middles_.get() + token * batch_.table.rows; }
  const float* deviations(size_t token) const { return deviations_.get() + token * batch_.table.rows; }

 private:
  void ScreenChunk(size_t worker, size_t first, size_t count);
  bool MayReachThreshold(size_t token, size_t first, size_t count, const double* sums) const;
  ShortlistRow BoundsOfRow(size_t token, size_t row, double sum);
  void AddToShortlist(size_t worker, size_t token, const ShortlistRow& row_bounds);
  size_t MergeShortlists(size_t token);
  Shortlist& ShortlistOf(size_t worker, size_t token) { return shortlists_[worker * batch_.tokens + token]; }

  pthreadpool_t const pool_;
  const HeadBatch& batch_;
  const size_t k_;
  const size_t capacity_;  // of each shortlist
  const size_t worker_count_;
  std::atomic<bool> too_many_{false};
  TokenBounds bounds_[kMaxBatch];
  std::atomic<double> threshold_[kMaxBatch];  // a lower bound of the k-th best logit
  std::unique_ptr<Shortlist[]> shortlists_;   // [workers, tokens]
  std::unique_ptr<ShortlistRow[]> lists_;     // [workers, tokens, capacity]
  std::unique_ptr<Candidate[]> heaps_;        // [workers, tokens, k]
  std::unique_ptr<ShortlistRow[]> merged_;    // [workers, capacity]
  std::unique_ptr<int64_t[]> ids_;            // [workers, capacity]
  std::unique_ptr<float[]> exact_;            // [workers, capacity]: logits of the ids
  std::unique_ptr<float[]> middles_;          // [tokens, rows], for log_z; else null
  std::unique_ptr<float[]> deviations_;
};

template <class T>
bool Make(size_t count, std::unique_ptr<T[]>* array) {
  array->reset(new (std::nothrow) T[count]);
  return *array != nullptr;
}

bool Screening::Allocate(bool with_bounds) {
  const size_t lists = worker_count_ * batch_.tokens;
  size_t bounds = 0;
  if (with_bounds && !CheckedMultiply(batch_.tokens, batch_.table.rows, &bounds)) return false;
  if (!Make(lists, &shortlists_) || !Make(lists * capacity_, &lists_) || !Make(lists * k_, &heaps_) ||
      !Make(worker_count_ * capacity_, &merged_) || !Make(worker_count_ * capacity_, &ids_) ||
      !Make(worker_count_ * capacity_, &exact_) ||
      (with_bounds && (!Make(bounds, &middles_) || !Make(bounds, &deviations_)))) {
    return false;
  }
  for (size_t i = 0; i < lists; ++i) shortlists_[i] = {&lists_[i * capacity_], 0, {&heaps_[i * k_], k_, 0}};
  return true;
}

void Screening::Run() {
  batch_.packed->PackFloatsApart(*batch_.kernels, batch_.hidden, batch_.tokens, batch_.table.cols);
  batch_.packed->PackActivations(*batch_.kernels, /*in_blocks=*/false, batch_.hidden, batch_.tokens, batch_.table.cols);
  for (size_t t = 0; t < batch_.tokens; ++t) {
    bounds_[t] = BoundsOfToken(batch_, t);
    threshold_[t].store(-INFINITY, std::memory_order_relaxed);
  }
  const size_t tile_rows = TileRows(batch_.table.cols);
  kernels::ForEachTile(pool_, *batch_.cancelled, batch_.table.rows, tile_rows, [&](const kernels::Tile& tile) {
    if (too_many()) return;
    batch_.filter.ForEachRun(tile.first, tile.count, [&](size_t row, size_t rows) {
      for (size_t r = 0; r < rows; r += kChunkRows) ScreenChunk(tile.worker, row + r, std::min(kChunkRows, rows - r));
    });
  });
}

void Screening::ScreenChunk(size_t worker, size_t first, size_t count) {
  double sums[kMaxBatch * kChunkRows];
  const TableView& table = batch_.table;
  batch_.kernels->bytes->i8(table.screen.values + first * table.cols, count, table.cols, batch_.packed->activations(),
                            sums, count);
  for (size_t t = 0; t < batch_.tokens; ++t) {
    const double* token_sums = sums + t * count;
    if (middles_ == nullptr && !MayReachThreshold(t, first, count, token_sums)) continue;
    for (size_t r = 0; r < count; ++r) {
      const ShortlistRow row_bounds = BoundsOfRow(t, first + r, token_sums[r]);
      if (!(row_bounds.upper < threshold_[t].load(std::memory_order_relaxed))) AddToShortlist(worker, t, row_bounds);
    }
  }
}

// False if no row of [first, first + count) can reach the threshold, as in nearly all chunks. Branch-free per row, and
// slightly looser than BoundsOfRow().
bool Screening::MayReachThreshold(size_t token, size_t first, size_t count, const double* sums) const {
  const TokenBounds& bounds = bounds_[token];
  const double threshold = threshold_[token].load(std::memory_order_relaxed);
  const float* scales = batch_.table.screen.scales + first;
  const float* residual_norms = batch_.table.screen.residual_norms + first;
  const double norm = bounds.norm * kRoundUp;
  double upper[kChunkRows];
  double reach[kChunkRows];
  for (size_t r = 0; r < count; ++r) {
    const double scale = static_cast<double>(scales[r]);
    const double residual = static_cast<double>(residual_norms[r]) * norm;
    upper[r] = (sums[r] * bounds.scale + bounds.fast_slack) * scale + residual + 2 * kTiny;
    reach[r] = scale * bounds.reach + residual;
  }
  for (size_t r = 0; batch_.bias != nullptr && r < count; ++r) {
    const double bias = static_cast<double>(batch_.bias[first + r]);
    upper[r] += bias + std::fabs(bias) * kRounding;
  }
  // Comparisons with NaN are false, so NaN does not count as below.
  size_t below = 0;
  for (size_t r = 0; r < count; ++r) below += ((upper[r] < threshold) & (reach[r] < kLargest)) ? 1 : 0;
  return below < count;
}

// The bounds of a row's logit; -infinity and infinity if it is unbounded.
ShortlistRow Screening::BoundsOfRow(size_t token, size_t row, double sum) {
  const TokenBounds& bounds = bounds_[token];
  const double scale = static_cast<double>(batch_.table.screen.scales[row]);
  const double residual_norm = static_cast<double>(batch_.table.screen.residual_norms[row]);
  const double bias = batch_.bias == nullptr ? 0.0 : static_cast<double>(batch_.bias[row]);
  const double middle = sum * scale * bounds.scale + bias;
  double deviation = residual_norm * bounds.norm + scale * bounds.slack + kTiny;
  deviation += (std::fabs(middle) + deviation) * kRounding;
  const bool bounded =
      scale > 0 && residual_norm >= 0 && scale * bounds.reach + residual_norm * bounds.norm * kRoundUp < kLargest;
  const bool known = bounded && std::fabs(middle) < kLargest;
  const ShortlistRow row_bounds = {known                          ? middle + deviation
                                   : bounded && bias == -INFINITY ? -INFINITY
                                                                  : INFINITY,
                                   known ? middle - deviation : -INFINITY, row};
  if (middles_ != nullptr) {
    middles_[token * batch_.table.rows + row] = static_cast<float>(known ? middle : row_bounds.upper);
    deviations_[token * batch_.table.rows + row] = static_cast<float>(known ? deviation : 0);
  }
  return row_bounds;
}

void Screening::AddToShortlist(size_t worker, size_t token, const ShortlistRow& row_bounds) {
  Shortlist& shortlist = ShortlistOf(worker, token);
  std::atomic<double>& threshold = threshold_[token];
  shortlist.best_lower.Offer({RoundDown(row_bounds.lower), static_cast<int64_t>(row_bounds.row)});
  double known = threshold.load(std::memory_order_relaxed);
  if (shortlist.best_lower.full()) {
    const double found = static_cast<double>(shortlist.best_lower.worst().logit);
    while (found > known && !threshold.compare_exchange_weak(known, found, std::memory_order_relaxed)) {
    }
  }
  if (shortlist.count == capacity_) shortlist.Compact(threshold.load(std::memory_order_relaxed));
  if (shortlist.count == capacity_) {
    too_many_.store(true, std::memory_order_relaxed);
  } else {
    shortlist.list[shortlist.count++] = row_bounds;
  }
}

// Fills merged_ with the rows of all shortlists of a token that can reach the k-th best lower bound, largest upper
// bound first. Returns their number.
size_t Screening::MergeShortlists(size_t token) {
  BestK& lowest = ShortlistOf(0, token).best_lower;
  for (size_t worker = 1; worker < worker_count_; ++worker) {
    const BestK& other = ShortlistOf(worker, token).best_lower;
    for (size_t i = 0; i < other.filled; ++i) lowest.Offer(other.heap[i]);
  }
  const double threshold = lowest.full() ? static_cast<double>(lowest.worst().logit) : -INFINITY;
  size_t count = 0;
  for (size_t worker = 0; worker < worker_count_; ++worker) {
    Shortlist& shortlist = ShortlistOf(worker, token);
    shortlist.Compact(threshold);
    std::copy_n(shortlist.list, shortlist.count, merged_.get() + count);
    count += shortlist.count;
  }
  std::sort(merged_.get(), merged_.get() + count, [](const ShortlistRow& a, const ShortlistRow& b) {
    return a.upper != b.upper ? a.upper > b.upper : a.row < b.row;
  });
  return count;
}

size_t Screening::RankExactly(size_t token, Candidate* best, uint64_t* survivors) {
  constexpr size_t kAtOnce = 256;
  const size_t count = MergeShortlists(token);
  BestK found{best, k_, 0};
  const auto is_out = [&](const ShortlistRow& row_bounds) {
    return found.full() && row_bounds.upper < static_cast<double>(found.worst().logit);
  };
  size_t nan_row = kNoRow;
  size_t done = 0;
  *survivors = 0;
  while (done < count && !is_out(merged_[done])) {
    // The first k are needed in any case; after them, any chunk may be the last.
    const size_t chunk = std::min(std::max(k_, kAtOnce), count - done);
    size_t used = 0;
    for (; used < chunk && !is_out(merged_[done + used]); ++used)
      ids_[used] = static_cast<int64_t>(merged_[done + used].row);
    RunScattered(pool_, batch_, token, ids_.get(), used, exact_.get());
    if (batch_.is_cancelled()) return kNoRow;
    for (size_t i = 0; i < used; ++i) {
      const bool nan = std::isnan(exact_[i]);
      if (nan) nan_row = std::min(nan_row, static_cast<size_t>(ids_[i]));
      found.Offer({nan ? -INFINITY : exact_[i], ids_[i]});
    }
    done += used;
  }
  found.Sort();
  *survivors = done;
  return nan_row;
}

}  // namespace

ScreenResult RunScreenedTopk(pthreadpool_t pool, const HeadBatch& batch, size_t k, Candidate* best, uint64_t* survivors,
                             double log_z_tolerance, LogZ* log_z) {
  ScreenResult result = {ScreenOutcome::kDone, kNoRow, 0};
  const std::unique_ptr<Screening> screening(new (std::nothrow) Screening(pool, batch, k));
  if (screening == nullptr || !screening->Allocate(log_z != nullptr)) {
    result.outcome = ScreenOutcome::kNoMemory;
    return result;
  }
  screening->Run();
  if (screening->too_many()) result.outcome = ScreenOutcome::kTooMany;
  for (size_t t = 0; t < batch.tokens && result.outcome == ScreenOutcome::kDone; ++t) {
    if (batch.is_cancelled()) return result;
    result.nan_row = std::min(result.nan_row, screening->RankExactly(t, best + t * k, &survivors[t]));
    if (log_z != nullptr && !batch.is_cancelled()) {
      const ScreenedLogits logits = {screening->middles(t), screening->deviations(t)};
      uint64_t computed = 0;
      result.outcome = ScreenedLogSum(pool, batch, t, logits, log_z_tolerance, &log_z[t], &computed);
      survivors[t] += computed;
    }
    result.table_rows += survivors[t];
  }
  return result;
}

}  // namespace tied::runtime
