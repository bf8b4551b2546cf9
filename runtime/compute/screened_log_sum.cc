#include "runtime/compute/screened_log_sum.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/exponentials.h"
#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

// Rows are sorted into levels by the distance of their upper bound from the largest one, half a unit per level. A row
// beyond the last level adds less than 2^-92.
constexpr size_t kLevels = 128;
constexpr double kLevelsInAUnit = 2;

// The table is summed in parts, so that the order of additions does not depend on the number of threads.
constexpr size_t kParts = 32;

// More rows than these shares of the table cost as much as a full pass.
constexpr size_t kMostRefined = 2;
constexpr size_t kMostComputed = 8;

// A bound of a file with wrong norms may be above the largest.
size_t LevelOf(double below_max) {
  const double level = std::max(below_max, 0.0) * kLevelsInAUnit;
  return level < kLevels - 1 ? static_cast<size_t>(level) : kLevels - 1;
}

}  // namespace

// A lower and an upper bound of the sum of exp(logit - max) over some rows.
struct ScreenedLogSum::Level {
  double lower = 0;
  double upper = 0;
  uint64_t rows = 0;

  void Add(const Level& other) {
    lower += other.lower;
    upper += other.upper;
    rows += other.rows;
  }
};

class ScreenedLogSum::Levels {
 public:
  void Add(const Levels& other) {
    for (size_t i = 0; i < kLevels; ++i) levels_[i].Add(other.levels_[i]);
  }
  void Add(double below_max, const Level& row) { levels_[LevelOf(below_max)].Add(row); }
  Level From(size_t cut) const {
    Level rest;
    for (size_t i = cut; i < kLevels; ++i) rest.Add(levels_[i]);
    return rest;
  }
  // The number of levels, from the first on, without which the bounds of the rest differ by at most `gap`.
  size_t Cut(double gap) const {
    Level rest;
    size_t cut = kLevels;
    for (; cut > 0; --cut) {
      rest.Add(levels_[cut - 1]);
      if (!(rest.upper - rest.lower <= gap)) break;
    }
    return cut;
  }

 private:
  Level levels_[kLevels];
};

// Bounds of some logits, to be added to levels together, since several exponentials take hardly longer than one.
class ScreenedLogSum::Bounds {
 public:
  Bounds(const kernels::Kernels& kernels, double max, Levels* levels)
      : exps_(kernels.exps), max_(max), levels_(*levels) {}
  ~Bounds() { Flush(); }
  Bounds(const Bounds&) = delete;
  Bounds& operator=(const Bounds&) = delete;

  // A logit in [upper - 2 * deviation, upper].
  void Add(double upper, double deviation) {
    below_max_[count_] = std::max(max_ - upper, 0.0);
    uppers_[count_] = -below_max_[count_];
    lowers_[count_] = -below_max_[count_] - 2 * deviation;
    if (++count_ == kAtOnce) Flush();
  }

 private:
  static constexpr size_t kAtOnce = 64;
  // Exponentials are never less than exp(-707), which is no lower bound of zero.
  static constexpr double kLeast = 0x1p-1000;

  void Flush() {
    exps_(uppers_, count_);
    exps_(lowers_, count_);
    for (size_t i = 0; i < count_; ++i) {
      levels_.Add(below_max_[i], {lowers_[i] < kLeast ? 0 : lowers_[i], uppers_[i], 1});
    }
    count_ = 0;
  }

  kernels::Exps* const exps_;
  const double max_;
  Levels& levels_;
  size_t count_ = 0;
  double below_max_[kAtOnce], uppers_[kAtOnce], lowers_[kAtOnce];
};

struct ScreenedLogSum::Part {
  Levels levels;
  Levels refined;  // what is expected of some rows once their lower nibbles are read
  uint64_t unbounded = 0;
};

double ScreenedLogSum::LargestFiniteUpper() const {
  float largest = -INFINITY;
  for (size_t chunk = 0; chunk < screen_.chunks(); ++chunk) {
    const float upper = screen_.chunk_upper(token_, chunk);
    if (upper < INFINITY) {
      largest = std::max(largest, upper);
      continue;
    }
    // Some rows of the chunk may have a bound.
    screen_.ForEachRun(chunk, [&](size_t first, size_t rows) {
      for (size_t r = first; r < first + rows; ++r) {
        const float bound = screen_.uppers(token_)[r];
        largest = bound < INFINITY ? std::max(largest, bound) : largest;
      }
    });
  }
  return static_cast<double>(largest);
}

void ScreenedLogSum::SumUpper(Part* parts) const {
  const size_t part_chunks = batch_.table.rows / kChunkRows / kParts + 1;
  kernels::ForEachTile(pool_, *batch_.cancelled, screen_.chunks(), part_chunks, [&](const kernels::Tile& tile) {
    Part& part = parts[tile.first / part_chunks];
    Bounds bounds(*batch_.kernels, max_, &part.levels), refined(*batch_.kernels, max_, &part.refined);
    for (size_t chunk = tile.first; chunk < tile.first + tile.count; ++chunk) {
      const bool sample = chunk % kSampledChunks == 0;
      screen_.ForEachRun(chunk, [&](size_t first, size_t count) {
        float uppers[kChunkRows], middles[kChunkRows];
        screen_.UpperBounds(token_, first, count, uppers, middles);
        for (size_t r = 0; r < count; ++r) {
          const double upper = static_cast<double>(uppers[r]);
          if (std::isinf(upper)) {
            part.unbounded += upper > 0;
            continue;
          }
          // The middle was rounded to float32 by less than the bound was widened.
          const double middle = static_cast<double>(middles[r]), deviation = upper - middle;
          bounds.Add(upper, deviation);
          const double narrow = deviation / static_cast<double>(kNarrower);
          if (sample) refined.Add(middle + narrow, narrow);
        }
      });
    }
  });
  for (size_t i = 1; i < kParts; ++i) {
    parts[0].levels.Add(parts[i].levels);
    parts[0].refined.Add(parts[i].refined);
    parts[0].unbounded += parts[i].unbounded;
  }
}

// The rows above the cut, and rows without a bound.
bool ScreenedLogSum::CollectAbove(size_t cut, size_t count) {
  refined_.reset(new (std::nothrow) Refined[count + 1]);
  rows_.reset(new (std::nothrow) uint32_t[count + 1]);
  if (refined_ == nullptr || rows_ == nullptr) return false;
  for (size_t chunk = 0; chunk < screen_.chunks(); ++chunk) {
    const double largest = static_cast<double>(screen_.chunk_upper(token_, chunk));
    if (largest == -INFINITY || (largest <= max_ && LevelOf(max_ - largest) >= cut)) continue;
    screen_.ForEachRun(chunk, [&](size_t first, size_t rows) {
      for (size_t r = 0; r < rows; ++r) {
        const double upper = static_cast<double>(screen_.uppers(token_)[first + r]);
        const bool needed = upper == INFINITY || (!std::isinf(upper) && LevelOf(max_ - upper) < cut);
        if (needed) rows_[refined_count_++] = static_cast<uint32_t>(first + r);
      }
    });
  }
  return true;
}

void ScreenedLogSum::Refine() {
  kernels::ForEachTile(pool_, *batch_.cancelled, refined_count_, kChunkRows, [&](const kernels::Tile& tile) {
    LogitBounds bounds[kChunkRows];
    screen_.Refine(token_, rows_.get() + tile.first, tile.count, bounds);
    for (size_t i = 0; i < tile.count; ++i) {
      refined_[tile.first + i] = {rows_[tile.first + i], bounds[i].upper, bounds[i].deviation};
    }
  });
}

// Computes the logits of the refined rows above the cut from the table.
bool ScreenedLogSum::ComputeAbove(size_t cut, size_t count, float* logits) {
  for (size_t i = 0; i < refined_count_; ++i) {
    const double upper = static_cast<double>(refined_[i].upper);
    const bool needed = !(upper < INFINITY) || (upper > -INFINITY && LevelOf(max_ - upper) < cut);
    if (!needed) continue;
    if (computed_count_ == count) return false;
    rows_[computed_count_++] = refined_[i].row;
  }
  RunScattered(pool_, batch_, token_, rows_.get(), computed_count_, row_buffers_, logits);
  return true;
}

void ScreenedLogSum::AddRefined(Levels* levels) const {
  Bounds bounds(*batch_.kernels, max_, levels);
  for (size_t i = 0; i < refined_count_; ++i) {
    const double upper = static_cast<double>(refined_[i].upper);
    if (std::isfinite(upper)) bounds.Add(std::min(upper, max_), static_cast<double>(refined_[i].deviation));
  }
}

ScreenOutcome ScreenedLogSum::Run(const Candidate* best, size_t k, double tolerance, LogZ* log_z) {
  const size_t rows = batch_.table.rows;
  const std::unique_ptr<Part[]> parts(new (std::nothrow) Part[kParts]);
  if (parts == nullptr) return ScreenOutcome::kNoMemory;
  max_ = std::max(static_cast<double>(best[0].logit), LargestFiniteUpper());
  if (std::isinf(max_)) return ScreenOutcome::kTooMany;
  SumUpper(parts.get());
  if (batch_.is_cancelled()) return ScreenOutcome::kDone;
  if (parts[0].unbounded >= rows / kMostComputed) return ScreenOutcome::kTooMany;
  const Levels& levels = parts[0].levels;

  // log(upper / lower) / 2 <= (upper - lower) / lower / 2; of `tolerance`, a quarter is for the rows that are not
  // refined, a quarter for those not computed, and half is reserved for rounding.
  double least = 0;
  for (size_t i = 0; i < k; ++i) {
    const double below_max = max_ - static_cast<double>(best[i].logit);
    if (below_max < 700) least += kernels::ExpOfNegative(-below_max);
  }
  const double gap = tolerance / 2 * std::max(least, levels.From(0).lower);
  const size_t cut = levels.Cut(gap);
  const Level unrefined = levels.From(cut);
  const uint64_t above = levels.From(0).rows - unrefined.rows + parts[0].unbounded;
  if (above > rows / kMostRefined) return ScreenOutcome::kTooMany;
  const Levels& expected = parts[0].refined;
  const uint64_t unneeded = expected.From(expected.Cut(gap / kSampledChunks)).rows;
  if ((expected.From(0).rows - unneeded) * kSampledChunks > rows / kMostComputed) return ScreenOutcome::kTooMany;
  if (!CollectAbove(cut, static_cast<size_t>(above))) return ScreenOutcome::kNoMemory;
  Refine();
  if (batch_.is_cancelled()) return ScreenOutcome::kDone;

  Levels refined;
  AddRefined(&refined);
  const size_t second_cut = refined.Cut(gap);
  const Level uncomputed = refined.From(second_cut);
  const size_t most = rows / kMostComputed + 1;
  const std::unique_ptr<float[]> exact(new (std::nothrow) float[most + 1]);
  if (exact == nullptr) return ScreenOutcome::kNoMemory;
  if (!ComputeAbove(second_cut, most, exact.get())) return ScreenOutcome::kTooMany;
  if (batch_.is_cancelled()) return ScreenOutcome::kDone;

  Level rest = unrefined;
  rest.Add(uncomputed);
  LogSum sums[2] = {LogSum::Of(*batch_.kernels, exact.get(), computed_count_), {max_, rest.lower}};
  const LogZ low = LogOfSum(sums, rest.lower > 0 ? 2 : 1, 1, rows);
  sums[1].sum = rest.upper;
  const LogZ high = LogOfSum(sums, rest.rows > 0 ? 2 : 1, 1, rows);
  if (std::isinf(high.value)) {
    *log_z = high;
    return ScreenOutcome::kDone;
  }
  log_z->value = low.value / 2 + high.value / 2;
  log_z->bound = (high.value - low.value) / 2 + high.bound + low.bound;
  // Fails if rounding exceeds the reserve, or if the tolerance is finer than float64.
  return std::isfinite(log_z->bound) && log_z->bound <= tolerance ? ScreenOutcome::kDone : ScreenOutcome::kTooMany;
}

}  // namespace tied::runtime
