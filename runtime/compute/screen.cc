#include "runtime/compute/screen.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

using kernels::NibbleRows;

// |p_k| and |q_k| at most, and |p_k - offset of an unsigned table - zero point|.
constexpr double kUpperReach = 16 * 7.54;
constexpr double kFullReach = 128;
constexpr double kLargestInteger = 128 + 128 + 255;

constexpr size_t kAlignment = 64;

static_assert(kScreenColumns == kernels::kBoundColumns);

constexpr size_t kUpperTileBytes = size_t{1} << 20;

struct Norms {
  double of_x = 0;
  double of_error = 0;

  void Add(double x, double error) {
    of_x += x * x;
    of_error += error * error;
  }
  void Finish(double up) {
    of_x = std::sqrt(of_x) * up + kTiny;
    of_error = std::sqrt(of_error) * up + kTiny;
  }
};

TokenTerms TermsOf(const HeadBatch& batch, size_t token) {
  const size_t cols = batch.table.cols;
  const float* x = batch.hidden + token * cols;
  const int16_t* q = batch.packed->quantised(token, cols);
  const uint32_t* columns = batch.table.screen.columns;
  TokenTerms terms = {};
  terms.scale = batch.packed->scale(token);
  terms.total = batch.packed->activations().totals[token];
  terms.eight_totals = kernels::EightTotals(terms.total);
  Norms all, in_columns, outside;
  for (size_t k = 0, column = 0; k < cols; ++k) {
    const double value = static_cast<double>(x[k]);
    const double error = std::fabs(value - terms.scale * q[k]) + std::fabs(value) * 0x1p-50;
    all.Add(value, error);
    if (columns != nullptr && column < kScreenColumns && columns[column] == k) {
      in_columns.Add(value, error);
      terms.column_activations[column++] = q[k];
      terms.half_columns += 0.5 * q[k];
    } else {
      outside.Add(value, error);
    }
  }
  // Each operation in float64 here rounds by at most 2^-53, and n of them form a chain.
  const auto n = static_cast<double>(cols + 8);
  const double up = 1 + n * 0x1p-50;
  for (Norms* norms : {&all, &in_columns, &outside}) norms->Finish(up);
  const auto roundings = static_cast<double>(kernels::FloatRoundings(cols));
  const double gamma = batch.table.is_float() ? roundings * 0x1p-24 / (1 - roundings * 0x1p-24) : 0x1p-23;
  const double lost = all.of_error + gamma * all.of_x;  // of |p| and of |v|
  const double root = std::sqrt(n) * (1 + kFloatRounding);
  const double float_rounding = kFloatRounding * kLargestInteger * root * (all.of_x + all.of_error);
  terms.lost = lost;
  terms.up = up;
  terms.norm = (outside.of_x + lost) * (1 + 2 * kFloatRounding);
  terms.slack = kUpperReach * root * lost + float_rounding;
  terms.full_slack = kFullReach * root * lost + 0x1p-40 * float_rounding;
  terms.partial_slack = kFullReach * root * lost + float_rounding;
  const double in_column = std::sqrt(static_cast<double>(kScreenColumns)) * (1 + kFloatRounding);
  terms.column_slack = in_column * (0.5 * in_columns.of_x + 127.5 * (lost + kFloatRounding * (all.of_x + lost)));
  terms.reach = 2 * kLargestInteger * root * (all.of_x + lost);
  return terms;
}

}  // namespace

bool ScreenScratch::Reserve(const TableView& table, size_t tokens, size_t workers) {
  const size_t chunks = (table.rows + kChunkRows - 1) / kChunkRows;
  tokens = std::min(tokens, kScreenTokens);
  if (table.rows > SIZE_MAX / sizeof(Survivor) / tokens) return false;
  return sums.Reserve(tokens * table.rows) && uppers.Reserve(tokens * table.rows) &&
         chunk_uppers.Reserve(tokens * chunks) && chunk_middles.Reserve(tokens * chunks) &&
         survivors.Reserve(tokens * table.rows) && chunk_order.Reserve(chunks) &&
         row_buffers.Reserve(workers * AlignedRowBytes(table.row_bytes)) && refined.Reserve(workers) &&
         whole_sums.Reserve(workers * tokens * RefinedRows::kMost) && mask.Reserve(table.cols) &&
         mask_memory.Reserve(kernels::PackedActivationsSize(1, table.cols) + kAlignment);
}

void* ScreenScratch::packed_mask() const {
  const auto address = reinterpret_cast<uintptr_t>(mask_memory.get());
  return mask_memory.get() + (kAlignment - address % kAlignment) % kAlignment;
}

Screen::Screen(pthreadpool_t pool, const HeadBatch& batch, ScreenScratch* scratch)
    : pool_(pool), batch_(batch), view_(batch.table.screen), scratch_(*scratch) {
  batch_.packed->PackActivations(batch_.kernels->nibbles->pack, batch_.hidden, batch_.tokens, batch_.table.cols);
  for (size_t t = 0; t < batch_.tokens; ++t) terms_[t] = TermsOf(batch_, t);
}

size_t Screen::upper_row_bytes() const {
  const size_t floats = (view_.scales == nullptr ? 1 : 2) + (view_.columns == nullptr ? 0 : 1);
  return view_.row_bytes + floats * sizeof(float) + (view_.columns == nullptr ? 0 : kScreenColumns);
}

void Screen::ReadUpper() {
  const size_t rows = batch_.table.rows;
  // Large enough for the kernel's streams.
  const size_t tile_rows = std::max<size_t>(kUpperTileBytes / view_.row_bytes / kChunkRows, 1) * kChunkRows;
  const kernels::ActivationsView activations = batch_.packed->activations();
  kernels::ForEachTile(pool_, *batch_.cancelled, rows, tile_rows, [&](const kernels::Tile& tile) {
    batch_.filter.ForEachRun(tile.first, tile.count, [&](size_t first, size_t count) {
      const auto upper = NibbleRows::Whole(view_.upper + first * view_.row_bytes, nullptr, batch_.table.cols);
      batch_.kernels->nibbles->dot(upper, count, activations.packed, batch_.tokens, scratch_.sums.get() + first, rows,
                                   nullptr);
    });
    const size_t end = (tile.first + tile.count + kChunkRows - 1) / kChunkRows;
    for (size_t chunk = tile.first / kChunkRows; chunk < end; ++chunk) SumUp(chunk);
  });
}

void Screen::SumUp(size_t chunk) const {
  for (size_t t = 0; t < batch_.tokens; ++t) {
    const auto largest = batch_.kernels->nibbles->bounds->largest;
    float upper = -INFINITY, middle = -INFINITY;
    ForEachRun(chunk, [&](size_t row, size_t rows) {
      float middles[kChunkRows];
      float* uppers = scratch_.uppers.get() + t * batch_.table.rows + row;
      UpperBounds(t, row, rows, uppers, middles);
      upper = std::max(upper, largest(uppers, rows));
      middle = std::max(middle, largest(middles, rows));
    });
    scratch_.chunk_uppers[t * chunks() + chunk] = upper;
    scratch_.chunk_middles[t * chunks() + chunk] = middle;
  }
}

float Screen::OffsetOf(const TableView& table, double total, size_t row) {
  const double offset = table.is_float() ? 7.5 : 7.5 + 128 - table.NestedOffset(row);
  return static_cast<float>(offset / 16 * total);
}

void Screen::OffsetsOf(double total, size_t first, size_t count, float* offsets) const {
  const TableView& table = batch_.table;
  if (table.is_float() || table.zero_points == nullptr) {
    std::fill_n(offsets, count, OffsetOf(table, total, first));
    return;
  }
  for (size_t r = 0; r < count; ++r) offsets[r] = OffsetOf(table, total, first + r);
}

kernels::BoundTerms Screen::FloatTerms(size_t token, double unread_norm, double slack) const {
  const TokenTerms& terms = terms_[token];
  return {terms.eight_totals,
          static_cast<float>(16 * terms.scale),
          RoundedUp(unread_norm),
          RoundedUp(slack),
          RoundedUp(terms.column_slack),
          RoundedUp(terms.reach),
          static_cast<float>(kTiny),
          kLargestLogit};
}

kernels::BoundRows Screen::RowsOfRun(size_t token, size_t first, size_t count, RowScratch* scratch) const {
  const TableView& table = batch_.table;
  kernels::BoundRows rows = {};
  rows.sums = sums(token) + first;
  rows.scales = scratch->scales;
  if (view_.scales != nullptr) {
    rows.scales = view_.scales + first;
  } else {
    for (size_t r = 0; r < count; ++r) scratch->scales[r] = table.RowScale(first + r);
  }
  OffsetsOf(terms_[token].total, first, count, scratch->offsets);
  rows.offsets = scratch->offsets;
  rows.upper_norms = view_.upper_norms + first;
  rows.biases = batch_.bias == nullptr ? nullptr : batch_.bias + first;
  if (view_.columns == nullptr) return rows;
  batch_.kernels->nibbles->bounds->column_sums(view_.column_values + first * kScreenColumns, nullptr, count,
                                               terms_[token].column_activations, scratch->column_sums);
  rows.column_sums = scratch->column_sums;
  rows.column_scales = view_.column_scales + first;
  return rows;
}

// In float32, since every row goes through it. The terms hold its roundings.
void Screen::UpperBounds(size_t token, size_t first, size_t count, float* uppers, float* middles) const {
  const TokenTerms& terms = terms_[token];
  RowScratch scratch;
  batch_.kernels->nibbles->bounds->from_upper(FloatTerms(token, terms.norm, terms.slack),
                                              RowsOfRun(token, first, count, &scratch), count, middles, uppers);
}

void Screen::BoundsFromBoth(size_t token, size_t first, size_t count, const uint32_t* lower_sums, float* uppers) const {
  const TokenTerms& terms = terms_[token];
  RowScratch scratch;
  kernels::BoundRows rows = RowsOfRun(token, first, count, &scratch);
  if (view_.norms == nullptr) std::fill_n(scratch.norms, count, 0.0f);
  rows.norms = view_.norms == nullptr ? scratch.norms : view_.norms + first;
  // Both planes have the columns of a quantised table exactly.
  if (!batch_.table.is_float()) rows.column_sums = nullptr;
  const double half_total = 0.5 * terms.total - (batch_.table.is_float() ? terms.half_columns : 0);
  const kernels::LowerSums lower = {
      lower_sums, nullptr, terms.eight_totals, static_cast<float>(half_total / 16), 0, RoundedUp(terms.norm)};
  batch_.kernels->nibbles->bounds->from_both(FloatTerms(token, 0, terms.partial_slack), rows, lower, count, uppers);
}

// The exact product of a row's integers, without zero point, and the activations.
double Screen::Sum(size_t token, size_t row, uint32_t lower_sum) const {
  const int offset = batch_.table.is_float() ? 128 : batch_.table.NestedOffset(row);
  return kernels::NestedSum(scratch_.sums[token * batch_.table.rows + row], lower_sum, offset, terms_[token].total);
}

LogitBounds Screen::FloatBounds(size_t token, size_t row, uint32_t lower_sum, int32_t column_sum) const {
  const TokenTerms& terms = terms_[token];
  const double scale = static_cast<double>(view_.scales[row]);
  const double norm = static_cast<double>(view_.norms[row]);
  double middle = Sum(token, row, lower_sum) * scale;
  double deviation = norm * terms.norm + std::fabs(scale) * terms.full_slack + kTiny;
  double far = std::fabs(scale) * terms.reach + norm * terms.norm;
  if (view_.columns != nullptr) {
    const double column_scale = static_cast<double>(view_.column_scales[row]);
    middle += column_scale * column_sum - scale * terms.half_columns;
    deviation += std::fabs(column_scale) * terms.column_slack;
    far += std::fabs(column_scale) * terms.reach;
  }
  middle = middle * terms.scale + BiasOf(row);
  // Also for storing the results as float32.
  deviation += (std::fabs(middle) + deviation) * kFloatRounding;
  const bool bounded = norm >= 0 && far < static_cast<double>(kLargestLogit);
  if (!bounded || !(middle < static_cast<double>(kLargestLogit))) return {INFINITY, INFINITY};
  if (middle < -static_cast<double>(kLargestLogit)) return {middle == -INFINITY ? -INFINITY : INFINITY, INFINITY};
  return {static_cast<float>(middle + deviation), static_cast<float>(deviation)};
}

// As RunRows() computes it.
float Screen::QuantisedLogit(size_t token, size_t row, uint32_t lower_sum) const {
  const double scale = static_cast<double>(batch_.table.RowScale(row)) * terms_[token].scale;
  const auto logit = static_cast<float>(Sum(token, row, lower_sum) * scale);
  return batch_.bias == nullptr ? logit : logit + batch_.bias[row];
}

void Screen::BoundsOf(size_t token, const uint32_t* rows, size_t count, const uint32_t* lower_sums,
                      LogitBounds* bounds) const {
  if (!batch_.table.is_float()) {
    for (size_t i = 0; i < count; ++i) bounds[i] = {QuantisedLogit(token, rows[i], lower_sums[i]), 0};
    return;
  }
  for (size_t first = 0; first < count; first += kChunkRows) {
    const size_t some = std::min(kChunkRows, count - first);
    int32_t column_sums[kChunkRows] = {};
    if (view_.columns != nullptr) {
      batch_.kernels->nibbles->bounds->column_sums(view_.column_values, rows + first, some,
                                                   terms_[token].column_activations, column_sums);
    }
    for (size_t i = first; i < first + some; ++i) {
      bounds[i] = FloatBounds(token, rows[i], lower_sums[i], column_sums[i - first]);
    }
  }
}

void Screen::Refine(size_t token, const uint32_t* rows, size_t count, LogitBounds* bounds) const {
  uint32_t sums[kChunkRows];
  batch_.kernels->nibbles->dot(NibbleRows::Whole(view_.lower, rows, batch_.table.cols), count, packed(token), 1, sums,
                               kChunkRows, nullptr);
  BoundsOf(token, rows, count, sums, bounds);
}

}  // namespace tied::runtime
