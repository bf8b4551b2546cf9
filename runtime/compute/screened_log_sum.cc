#include "runtime/compute/screened_log_sum.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

// Rows are sorted into levels by the distance of their upper bound from the largest one, half a unit per level. A row
// beyond the last level adds less than 2^-92.
constexpr size_t kLevels = 128;
constexpr double kLevelsInAUnit = 2;

// The table is summed in parts, so that the order of additions does not depend on the number of threads.
constexpr size_t kParts = 64;

// A lower and an upper bound of the sum of exp(logit - max) over some rows.
struct Level {
  double lower = 0;
  double upper = 0;
  uint64_t rows = 0;

  void Add(const Level& other) {
    lower += other.lower;
    upper += other.upper;
    rows += other.rows;
  }
};

size_t LevelOf(double below_max) {
  const double level = below_max * kLevelsInAUnit;
  return level < kLevels - 1 ? static_cast<size_t>(level) : kLevels - 1;
}

double Upper(const ScreenedLogits& logits, size_t row) {
  return static_cast<double>(logits.middles[row]) + static_cast<double>(logits.deviations[row]);
}

// One part of the table: its largest finite upper bound, and its sums.
struct Part {
  double max = -INFINITY;
  Level levels[kLevels];
};

// Calls run(part, row) for the allowed rows of each part.
template <class Run>
void ForEachPart(pthreadpool_t pool, const HeadBatch& batch, Part* parts, const Run& run) {
  const size_t rows = batch.table.rows;
  const size_t part_rows = (rows + kParts - 1) / kParts;
  kernels::ForEachTile(pool, *batch.cancelled, rows, part_rows, [&](const kernels::Tile& tile) {
    Part& part = parts[tile.first / part_rows];
    batch.filter.ForEachRun(tile.first, tile.count, [&](size_t first, size_t count) {
      for (size_t r = first; r < first + count; ++r) run(part, r);
    });
  });
}

// Adds the exponential of a logit in [upper - 2 * deviation, upper] to its level.
void AddRow(double max, double upper, double deviation, Level* levels) {
  const double below_max = max - upper;
  const double width = 2 * deviation;
  const double high = ExpOfNegative(-below_max);
  // ExpOfNegative() is never less than exp(-707).
  const double low = below_max + width < 700 ? high * ExpOfNegative(-width) : 0;
  levels[LevelOf(below_max)].Add({low, high, 1});
}

// Number of levels, from the first on, whose rows must be computed exactly to meet the tolerance.
size_t ChooseLevels(const Level (&levels)[kLevels], double tolerance) {
  Level total;
  for (const Level& level : levels) total.Add(level);
  // log(upper / lower) / 2 <= (upper - lower) / lower / 2. Half of the tolerance is reserved for rounding.
  double gap = total.upper - total.lower;
  size_t computed = 0;
  while (computed < kLevels && !(gap <= tolerance * total.lower)) {
    gap -= levels[computed].upper - levels[computed].lower;
    ++computed;
  }
  return computed;
}

}  // namespace

ScreenOutcome ScreenedLogSum(pthreadpool_t pool, const HeadBatch& batch, size_t token, const ScreenedLogits& logits,
                             double tolerance, LogZ* log_z, uint64_t* computed) {
  const size_t rows = batch.table.rows;
  const std::unique_ptr<Part[]> parts(new (std::nothrow) Part[kParts]);
  if (parts == nullptr) return ScreenOutcome::kNoMemory;
  ForEachPart(pool, batch, parts.get(), [&](Part& part, size_t row) {
    const double upper = Upper(logits, row);
    if (!std::isinf(upper)) part.max = std::max(part.max, upper);
  });
  double max = -INFINITY;
  for (size_t i = 0; i < kParts; ++i) max = std::max(max, parts[i].max);
  ForEachPart(pool, batch, parts.get(), [&](Part& part, size_t row) {
    const double upper = Upper(logits, row);
    if (!std::isinf(upper)) AddRow(max, upper, static_cast<double>(logits.deviations[row]), part.levels);
  });
  if (batch.is_cancelled()) return ScreenOutcome::kDone;
  Level levels[kLevels];
  for (size_t part = 0; part < kParts; ++part) {
    for (size_t i = 0; i < kLevels; ++i) levels[i].Add(parts[part].levels[i]);
  }
  const size_t cut = ChooseLevels(levels, tolerance);

  // The rows above the cut, and rows without a bound.
  const size_t limit = rows / 8 + 1;
  const std::unique_ptr<int64_t[]> ids(new (std::nothrow) int64_t[limit]);
  const std::unique_ptr<float[]> exact(new (std::nothrow) float[limit]);
  if (ids == nullptr || exact == nullptr) return ScreenOutcome::kNoMemory;
  size_t count = 0;
  bool fits = true;
  batch.filter.ForEachRun(0, rows, [&](size_t first, size_t run) {
    for (size_t r = first; r < first + run && fits; ++r) {
      const double upper = Upper(logits, r);
      const bool needed = upper == INFINITY || (!std::isinf(upper) && LevelOf(max - upper) < cut);
      if (needed && (fits = count < limit)) ids[count++] = static_cast<int64_t>(r);
    }
  });
  if (!fits) return ScreenOutcome::kTooMany;
  RunScattered(pool, batch, token, ids.get(), count, exact.get());
  if (batch.is_cancelled()) return ScreenOutcome::kDone;
  *computed = count;

  Level rest;
  for (size_t i = cut; i < kLevels; ++i) rest.Add(levels[i]);
  LogSum sums[2] = {LogSum::Of(exact.get(), count), {max, rest.lower}};
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
