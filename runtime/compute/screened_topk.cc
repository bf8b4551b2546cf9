#include "runtime/compute/screened_topk.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/parallel.h"
#include "runtime/compute/full_topk.h"
#include "runtime/compute/partial_screen.h"
#include "runtime/compute/screened_log_sum.h"

namespace tied::runtime {

namespace {

// Promising rows above k that are computed first, so that one that was judged too well costs nothing.
constexpr size_t kMorePromising = 8;

// Rows that a thread takes at a time, at most: many, so that prefetching seldom starts anew.
constexpr size_t kTileRows = 8192;
constexpr size_t kTilesOfThread = 8;

// The lower nibbles of so many rows are read whole for all tokens, one row after the other, if most of them are needed.
constexpr size_t kBlockRows = RefinedRows::kMost;
constexpr size_t kBlockChunks = kBlockRows / kChunkRows;

// What that costs, in hundredths of what it costs to read some nibbles of one row for one token; and what a row's
// bounds cost for each token, and its calibrated columns.
constexpr size_t kRowCost = 60, kTokenCost = 20, kScatteredCost = 100;
constexpr size_t kBoundCost = 3, kColumnsCost = 17;

// Survivors of all tokens from which a pass in the order of the rows is faster than one in the order of their bounds.
constexpr size_t kManySurvivors = 16;  // one of so many rows

// With more rows than that, reading all of a float table takes less time than leaving some out.
constexpr size_t kMostSurvivors = 4;  // one of so many rows

template <class T>
bool Make(size_t count, std::unique_ptr<T[]>* array) {
  array->reset(new (std::nothrow) T[count]);
  return *array != nullptr;
}

class Ranking {
 public:
  Ranking(pthreadpool_t pool, const HeadBatch& batch, ScreenScratch* scratch, const ScreenedTopk& topk)
      : pool_(pool), batch_(batch), scratch_(*scratch), topk_(topk), screen_(pool, batch, scratch) {}

  bool Allocate();
  ScreenResult Run();

 private:
  // The rows that are computed first, and their logits, in the order of rows.
  struct Promising {
    uint32_t* rows;
    float* logits;
    size_t count;

    bool Has(uint32_t row) const { return std::binary_search(rows, rows + count, row); }
  };

  class ReadRanges;

  void FindPromising(size_t token);
  void FindThreshold(size_t token);
  void ComputeExactly(size_t token, const uint32_t* rows, size_t count, float* logits);
  void ReadLower();
  void ReadTile(const kernels::Tile& tile);
  bool ExpectsMostRows() const;
  bool IsWorthwhile() const;
  size_t CountLeft(size_t token, size_t chunk) const;
  bool NeedsWholeRows(size_t chunk, size_t count) const;
  void ReadWholeRows(size_t chunk, size_t count, size_t worker);
  void KeepWholeRows(size_t token, size_t chunk, size_t count, const uint32_t* sums, RefinedRows* left) const;
  void AddChunk(size_t token, size_t chunk, RefinedRows* refined) const;
  void Refine(size_t token, RefinedRows* refined, ReadRanges* read);
  void AddSurvivors(size_t token, RefinedRows* refined);
  void RankInOrderOfBounds(size_t token, ScreenResult* result);
  bool RankInOrderOfRows(ScreenResult* result);
  void Offer(float logit, uint32_t row, BestK* best, ScreenResult* result) const;

  // False if no row of the chunk can be among the best.
  bool Reaches(size_t token, size_t chunk) const { return !(screen_.chunk_upper(token, chunk) < threshold_[token]); }
  size_t WholeRowCost() const { return kRowCost + batch_.tokens * kTokenCost; }
  size_t ManyRows() const { return batch_.table.rows / kManySurvivors; }
  Survivor* survivors(size_t token) const { return scratch_.survivors.get() + token * batch_.table.rows; }

  pthreadpool_t const pool_;
  const HeadBatch& batch_;
  ScreenScratch& scratch_;
  const ScreenedTopk& topk_;
  Screen screen_;
  std::unique_ptr<PartialScreen> partial_;
  size_t most_promising_ = 0;
  Promising promising_[kScreenTokens];
  float threshold_[kScreenTokens];
  std::atomic<size_t> survivor_count_[kScreenTokens];
  std::atomic<uint64_t> lower_bytes_{0};
  std::atomic<uint64_t> lower_cost_{0};
  std::unique_ptr<uint32_t[]> rows_;  // [tokens, most_promising_]
  std::unique_ptr<float[]> logits_;
  std::unique_ptr<Survivor[]> chunk_rows_;  // [most_promising_ * kChunkRows]
};

bool Ranking::Allocate() {
  partial_.reset(new (std::nothrow) PartialScreen(batch_, screen_, scratch_));
  if (partial_ == nullptr) return false;
  most_promising_ = topk_.k + kMorePromising;
  if (!Make(batch_.tokens * most_promising_, &rows_) || !Make(batch_.tokens * most_promising_, &logits_) ||
      !Make(most_promising_ * kChunkRows, &chunk_rows_)) {
    return false;
  }
  for (size_t t = 0; t < batch_.tokens; ++t) {
    promising_[t] = {&rows_[t * most_promising_], &logits_[t * most_promising_], 0};
    survivor_count_[t].store(0, std::memory_order_relaxed);
  }
  return true;
}

// The rows with the largest approximate logits are in the chunks with the largest ones.
void Ranking::FindPromising(size_t token) {
  uint32_t* order = scratch_.chunk_order.get();
  const size_t chunks = screen_.chunks();
  for (size_t i = 0; i < chunks; ++i) order[i] = static_cast<uint32_t>(i);
  const size_t taken = std::min(chunks, most_promising_);
  const auto middle = [&](uint32_t chunk) { return screen_.chunk_middle(token, chunk); };
  // A middle may be NaN, which has no order.
  const auto better = [](float a, float b) {
    return (std::isnan(a) ? -INFINITY : a) > (std::isnan(b) ? -INFINITY : b);
  };
  std::nth_element(order, order + taken - 1, order + chunks,
                   [&](uint32_t a, uint32_t b) { return better(middle(a), middle(b)); });
  size_t found = 0;
  for (size_t i = 0; i < taken; ++i) {
    screen_.ForEachRun(order[i], [&](size_t first, size_t count) {
      float uppers[kChunkRows], middles[kChunkRows];
      screen_.UpperBounds(token, first, count, uppers, middles);
      for (size_t r = 0; r < count; ++r) chunk_rows_[found++] = {middles[r], static_cast<uint32_t>(first + r)};
    });
  }
  Promising& promising = promising_[token];
  promising.count = std::min(found, most_promising_);
  if (promising.count < found) {
    std::nth_element(chunk_rows_.get(), chunk_rows_.get() + promising.count, chunk_rows_.get() + found,
                     [&](const Survivor& a, const Survivor& b) { return better(a.upper, b.upper); });
  }
  for (size_t i = 0; i < promising.count; ++i) promising.rows[i] = chunk_rows_[i].row;
  // With std::less, libc++ would take the function from its library, which libtied_jni.so does not link.
  std::sort(promising.rows, promising.rows + promising.count, [](auto a, auto b) { return a < b; });
}

void Ranking::ComputeExactly(size_t token, const uint32_t* rows, size_t count, float* logits) {
  if (batch_.table.is_float()) {
    return RunScattered(pool_, batch_, token, rows, count, scratch_.row_buffers.get(), logits);
  }
  for (size_t i = 0; i < count; i += kChunkRows) {
    const size_t some = std::min(kChunkRows, count - i);
    LogitBounds bounds[kChunkRows];
    screen_.Refine(token, rows + i, some, bounds);
    for (size_t r = 0; r < some; ++r) logits[i + r] = bounds[r].upper;
  }
}

void Ranking::FindThreshold(size_t token) {
  FindPromising(token);
  const Promising& promising = promising_[token];
  ComputeExactly(token, promising.rows, promising.count, promising.logits);
  ScreenResult ignored = {};
  BestK best{topk_.best + token * topk_.k, topk_.k, 0};
  for (size_t i = 0; i < promising.count; ++i) Offer(promising.logits[i], promising.rows[i], &best, &ignored);
  threshold_[token] = best.full() ? best.worst().logit : -INFINITY;
}

void Ranking::Offer(float logit, uint32_t row, BestK* best, ScreenResult* result) const {
  const bool nan = std::isnan(logit);
  if (nan) result->nan_row = std::min<size_t>(result->nan_row, row);
  best->Offer({nan ? -INFINITY : logit, static_cast<int64_t>(row)});
}

// The ranges of lower nibbles that were read for any token, of the rows of a tile.
class Ranking::ReadRanges {
 public:
  explicit ReadRanges(size_t first_row) : first_row_(first_row) {}

  void Add(size_t range, const uint32_t* rows, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const size_t at = rows[i] - first_row_;
      bits_[range][at / 64] |= uint64_t{1} << at % 64;
    }
  }
  uint64_t Bytes(const PartialScreen& partial, size_t norm_bytes) const {
    uint64_t bytes = 0;
    for (size_t word = 0; word < kTileRows / 64; ++word) {
      uint64_t any = 0;
      for (size_t range = 0; range < partial.ranges(); ++range) {
        any |= bits_[range][word];
        bytes += static_cast<uint64_t>(__builtin_popcountll(bits_[range][word])) * partial.row_bytes(range);
      }
      bytes += static_cast<uint64_t>(__builtin_popcountll(any)) * norm_bytes;
    }
    return bytes;
  }

 private:
  size_t first_row_;
  uint64_t bits_[PartialScreen::kMostRanges][kTileRows / 64] = {};
};

// Appends the rows of a chunk that are left for a token.
void Ranking::AddChunk(size_t token, size_t chunk, RefinedRows* refined) const {
  if (!Reaches(token, chunk)) return;
  partial_->PrefetchChunk(token, chunk * kChunkRows);
  screen_.ForEachRun(chunk, [&](size_t first, size_t run) {
    refined->Append(first, run, screen_.uppers(token) + first, threshold_[token]);
  });
}

size_t Ranking::CountLeft(size_t token, size_t chunk) const {
  const float threshold = threshold_[token];
  uint32_t left = 0;
  const float* const uppers = screen_.uppers(token);
  screen_.ForEachRun(chunk, [&](size_t first, size_t rows) {
    for (size_t row = first; row < first + rows; ++row) left += uppers[row] < threshold ? 0 : 1;
  });
  return left;
}

// True if so many rows of a float table are likely to be left that the lower nibbles had better not be read.
bool Ranking::ExpectsMostRows() const {
  if (!batch_.table.is_float()) return false;
  size_t sampled = 0, left = 0;
  for (size_t chunk = 0; chunk < screen_.chunks(); chunk += kSampledChunks) {
    for (size_t t = 0; t < batch_.tokens; ++t) {
      screen_.ForEachRun(chunk, [&](size_t first, size_t count) {
        sampled += t == 0 ? count : 0;
        if (!Reaches(t, chunk)) return;
        float uppers[kChunkRows], middles[kChunkRows];
        screen_.UpperBounds(t, first, count, uppers, middles);
        for (size_t r = 0; r < count; ++r) {
          left += middles[r] + (uppers[r] - middles[r]) / kNarrower < threshold_[t] ? 0 : 1;
        }
      });
    }
  }
  return left > sampled / kMostSurvivors;
}

// True if it took less time than a full pass, which reads both planes of a quantised table and needs no bounds.
bool Ranking::IsWorthwhile() const {
  const TableView& table = batch_.table;
  if (table.is_float()) return true;
  const size_t of_bounds = batch_.tokens * (kBoundCost + (table.screen.columns != nullptr ? kColumnsCost : 0));
  const size_t at_most = batch_.filter.Count(table.rows) * (WholeRowCost() - of_bounds);
  return lower_cost_.load(std::memory_order_relaxed) < at_most;
}

bool Ranking::NeedsWholeRows(size_t chunk, size_t count) const {
  const size_t enough = count * kChunkRows * WholeRowCost() / kScatteredCost;
  size_t at_most = 0, left = 0;
  for (size_t t = 0; t < batch_.tokens; ++t) {
    for (size_t i = chunk; i < chunk + count; ++i) at_most += Reaches(t, i) ? kChunkRows : 0;
  }
  for (size_t t = 0; t < batch_.tokens && at_most > enough; ++t) {
    for (size_t i = chunk; i < chunk + count; ++i) left += Reaches(t, i) ? CountLeft(t, i) : 0;
  }
  return left > enough;
}

void Ranking::ReadLower() {
  const size_t tiles = kTilesOfThread * pthreadpool_get_threads_count(pool_);
  const size_t tile_chunks = std::min(screen_.chunks() / tiles + 1, kTileRows / kChunkRows);
  for (size_t t = 0; t < batch_.tokens; ++t) partial_->SetToken(t);
  kernels::ForEachTile(pool_, *batch_.cancelled, screen_.chunks(), tile_chunks,
                       [&](const kernels::Tile& tile) { ReadTile(tile); });
}

// The tokens take turns tile by tile, so that rows that several of them need are read from memory once.
void Ranking::ReadTile(const kernels::Tile& tile) {
  bool whole[kTileRows / kBlockRows];
  for (size_t first = 0; first < tile.count; first += kBlockChunks) {
    const size_t chunk = tile.first + first, count = std::min(kBlockChunks, tile.count - first);
    whole[first / kBlockChunks] = NeedsWholeRows(chunk, count);
    if (whole[first / kBlockChunks]) ReadWholeRows(chunk, count, tile.worker);
  }
  ReadRanges read(tile.first * kChunkRows);
  for (size_t t = 0; t < batch_.tokens; ++t) {
    RefinedRows& rows = scratch_.refined[tile.worker];
    rows.count = 0;
    for (size_t i = 0; i < tile.count; ++i) {
      if (!whole[i / kBlockChunks]) AddChunk(t, tile.first + i, &rows);
      if (rows.count + kChunkRows <= RefinedRows::kMost) continue;
      Refine(t, &rows, &read);
      rows.count = 0;
    }
    if (rows.count > 0) Refine(t, &rows, &read);
  }
  lower_bytes_.fetch_add(read.Bytes(*partial_, screen_.lower_norm_bytes()), std::memory_order_relaxed);
}

// Reads the lower nibbles of all allowed rows of some chunks.
void Ranking::ReadWholeRows(size_t chunk, size_t count, size_t worker) {
  const TableView& table = batch_.table;
  const size_t first = chunk * kChunkRows, rows = std::min(count * kChunkRows, table.rows - first);
  uint32_t* const sums = scratch_.whole_sums.get() + worker * batch_.tokens * kBlockRows;
  size_t read = 0;
  batch_.filter.ForEachRun(first, rows, [&](size_t row, size_t run) {
    const auto lower =
        kernels::NibbleRows::Whole(table.screen.lower + row * table.screen.row_bytes, nullptr, table.cols);
    batch_.kernels->nibbles->dot(lower, run, screen_.packed(0), batch_.tokens, sums + (row - first), kBlockRows,
                                 nullptr);
    read += run;
  });
  lower_bytes_.fetch_add(read * screen_.lower_row_bytes(), std::memory_order_relaxed);
  lower_cost_.fetch_add(read * WholeRowCost(), std::memory_order_relaxed);
  for (size_t t = 0; t < batch_.tokens; ++t) {
    RefinedRows& left = scratch_.refined[worker];
    KeepWholeRows(t, chunk, count, sums + t * kBlockRows, &left);
    AddSurvivors(t, &left);
  }
}

// Sets *left to the rows of some chunks whose bounds from both planes reach the threshold. sums: the rows' products
// with the lower nibbles.
void Ranking::KeepWholeRows(size_t token, size_t chunk, size_t count, const uint32_t* sums, RefinedRows* left) const {
  const size_t first = chunk * kChunkRows;
  left->count = 0;
  for (size_t i = chunk; i < chunk + count; ++i) {
    if (!Reaches(token, i)) continue;
    screen_.ForEachRun(i, [&](size_t row, size_t run) {
      screen_.BoundsFromBoth(token, row, run, sums + (row - first), left->uppers);
      left->Append(row, run, left->uppers, threshold_[token]);
    });
  }
  for (size_t i = 0; i < left->count; ++i) left->sums[i] = sums[left->rows[i] - first];
}

// Reads the lower nibbles of some rows range by range, while the rows' bounds reach the threshold.
void Ranking::Refine(size_t token, RefinedRows* rows, ReadRanges* read) {
  lower_cost_.fetch_add(rows->count * kScatteredCost, std::memory_order_relaxed);
  std::fill_n(rows->sums, rows->count, 0u);
  std::fill_n(rows->spreads, rows->count, 0u);
  for (size_t i = 0; i < partial_->ranges(); ++i) {
    const size_t range = partial_->range_of(token, i);
    read->Add(range, rows->rows, rows->count);
    partial_->Read(token, range, rows);
    if (i + 1 == partial_->ranges()) break;
    partial_->SetUpperBounds(token, i + 1, rows);
    rows->Keep(threshold_[token]);
  }
  AddSurvivors(token, rows);
}

// Appends the rows whose bounds from both planes reach the threshold to the survivors.
void Ranking::AddSurvivors(size_t token, RefinedRows* rows) {
  screen_.BoundsOf(token, rows->rows, rows->count, rows->sums, rows->bounds);
  size_t found = 0;
  for (size_t i = 0; i < rows->count; ++i) {
    const float upper = rows->bounds[i].upper;
    if (!(upper < threshold_[token])) rows->survivors[found++] = {upper, rows->rows[i]};
  }
  const size_t at = survivor_count_[token].fetch_add(found, std::memory_order_relaxed);
  std::copy_n(rows->survivors, found, survivors(token) + at);
}

void Ranking::RankInOrderOfBounds(size_t token, ScreenResult* result) {
  constexpr size_t kAtOnce = 256;
  Survivor* list = survivors(token);
  size_t count = survivor_count_[token].load(std::memory_order_relaxed);
  BestK best{topk_.best + token * topk_.k, topk_.k, 0};
  const Promising& promising = promising_[token];
  topk_.survivors[token] = promising.count;
  for (size_t i = 0; i < promising.count; ++i) Offer(promising.logits[i], promising.rows[i], &best, result);
  count = static_cast<size_t>(
      std::remove_if(list, list + count, [&](const Survivor& s) { return promising.Has(s.row); }) - list);
  if (!batch_.table.is_float()) {
    for (size_t i = 0; i < count; ++i) Offer(list[i].upper, list[i].row, &best, result);
    topk_.survivors[token] += count;
    return best.Sort();
  }
  std::sort(list, list + count, [](const Survivor& a, const Survivor& b) {
    return a.upper != b.upper ? a.upper > b.upper : a.row < b.row;
  });
  const auto is_out = [&](const Survivor& s) { return best.full() && s.upper < best.worst().logit; };
  for (size_t done = 0, used = 0; done < count && !is_out(list[done]) && !batch_.is_cancelled(); done += used) {
    uint32_t rows[kAtOnce];
    float logits[kAtOnce];
    for (used = 0; used < std::min(kAtOnce, count - done) && !is_out(list[done + used]); ++used) {
      rows[used] = list[done + used].row;
    }
    RunScattered(pool_, batch_, token, rows, used, scratch_.row_buffers.get(), logits);
    for (size_t i = 0; i < used; ++i) Offer(logits[i], rows[i], &best, result);
    topk_.survivors[token] += used;
  }
  best.Sort();
}

// A full pass over the survivors of all tokens.
bool Ranking::RankInOrderOfRows(ScreenResult* result) {
  const size_t bytes = (batch_.table.rows + 7) / 8;
  std::unique_ptr<uint8_t[]> bits;
  std::unique_ptr<Candidate[]> heaps;
  std::unique_ptr<float[]> tiles;
  if (!Make(bytes, &bits) || !Make(FullTopkHeapSize(pool_, batch_, topk_.k), &heaps) ||
      !Make(FullTopkTileSize(pool_, batch_), &tiles)) {
    return false;
  }
  std::fill_n(bits.get(), bytes, uint8_t{0});
  const auto set = [&](uint32_t row) { bits[row / 8] = static_cast<uint8_t>(bits[row / 8] | 1 << row % 8); };
  for (size_t t = 0; t < batch_.tokens; ++t) {
    for (size_t i = 0; i < promising_[t].count; ++i) set(promising_[t].rows[i]);
    for (size_t i = 0; i < survivor_count_[t].load(std::memory_order_relaxed); ++i) set(survivors(t)[i].row);
  }
  HeadBatch left = batch_;
  const RowFilter survivors = {bits.get()};
  if (survivors.Count(batch_.table.rows) < batch_.table.rows / kMostSurvivors) left.filter = survivors;
  result->nan_row = RunFullTopk(pool_, left, topk_.k, {heaps.get(), tiles.get(), nullptr}, topk_.best, nullptr);
  std::fill_n(topk_.survivors, batch_.tokens, left.filter.Count(batch_.table.rows));
  // The full pass has packed the tokens together.
  batch_.packed->PackFloatsApart(*batch_.kernels, batch_.hidden, batch_.tokens, batch_.table.cols);
  return true;
}

ScreenResult Ranking::Run() {
  ScreenResult result = {ScreenOutcome::kDone, kNoRow, 0};
  const TableView& table = batch_.table;
  if (table.is_float()) batch_.packed->PackFloatsApart(*batch_.kernels, batch_.hidden, batch_.tokens, table.cols);
  screen_.ReadUpper();
  for (size_t t = 0; t < batch_.tokens && !batch_.is_cancelled(); ++t) FindThreshold(t);
  if (!batch_.is_cancelled() && ExpectsMostRows()) {
    return {ScreenOutcome::kTooMany, kNoRow, batch_.filter.Count(table.rows) * screen_.upper_row_bytes()};
  }
  if (!batch_.is_cancelled()) ReadLower();
  if (batch_.is_cancelled()) return result;
  size_t left = 0;
  for (size_t t = 0; t < batch_.tokens; ++t) left += survivor_count_[t].load(std::memory_order_relaxed);
  const bool in_order_of_rows = table.is_float() && left > ManyRows();
  if (in_order_of_rows && !RankInOrderOfRows(&result)) result.outcome = ScreenOutcome::kNoMemory;
  for (size_t t = 0; t < batch_.tokens && !in_order_of_rows; ++t) RankInOrderOfBounds(t, &result);
  uint64_t table_rows = in_order_of_rows ? topk_.survivors[0] : 0;
  for (size_t t = 0; t < batch_.tokens && !in_order_of_rows; ++t) table_rows += topk_.survivors[t];
  uint64_t refined = 0;
  for (size_t t = 0; t < batch_.tokens && topk_.log_z != nullptr && result.outcome == ScreenOutcome::kDone; ++t) {
    ScreenedLogSum log_sum(pool_, batch_, screen_, t, scratch_.row_buffers.get());
    result.outcome = log_sum.Run(topk_.best + t * topk_.k, topk_.k, topk_.log_z_tolerance, &topk_.log_z[t]);
    refined += log_sum.refined();
    table_rows += log_sum.computed();
    topk_.survivors[t] += log_sum.computed();
  }
  result.bytes_read = batch_.filter.Count(table.rows) * screen_.upper_row_bytes() +
                      lower_bytes_.load(std::memory_order_relaxed) + refined * screen_.lower_row_bytes();
  if (table.is_float()) result.bytes_read += table_rows * table.row_bytes;
  result.worthwhile = IsWorthwhile();
  return result;
}

}  // namespace

ScreenResult RunScreenedTopk(pthreadpool_t pool, const HeadBatch& batch, ScreenScratch* scratch,
                             const ScreenedTopk& topk) {
  const std::unique_ptr<Ranking> ranking(new (std::nothrow) Ranking(pool, batch, scratch, topk));
  if (ranking == nullptr || !ranking->Allocate()) return {ScreenOutcome::kNoMemory, kNoRow, 0};
  return ranking->Run();
}

}  // namespace tied::runtime
