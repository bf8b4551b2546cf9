#include "runtime/compute/screen.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"

namespace tied::runtime {

namespace {

// A logit has no bound if a float32 kernel may overflow while it computes it.
constexpr float kLargest = 1e38f;

// A bound in float32 is the sum of at most 12 terms, rounded 12 times.
constexpr double kFloatRounding = 0x1p-20;
constexpr float kFloatRoundUp = 1 + 0x1p-20f;

// Roundings of subnormal sums, 2^-150 each, of at most kMaxScreenedCols + 7; also of subnormal terms of a bound.
constexpr double kTiny = 0x1p-120;

// |p_k| and |q_k| at most, and |p_k - offset of an unsigned table - zero point|.
constexpr double kUpperReach = 16 * 7.54;
constexpr double kFullReach = 128;
constexpr double kLargestInteger = 128 + 128 + 255;

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
  terms.norm = (outside.of_x + lost) * (1 + 2 * kFloatRounding);
  terms.slack = kUpperReach * root * lost + float_rounding;
  terms.full_slack = kFullReach * root * lost + 0x1p-40 * float_rounding;
  const double in_column = std::sqrt(static_cast<double>(kScreenColumns)) * (1 + kFloatRounding);
  terms.column_slack = in_column * (0.5 * in_columns.of_x + 127.5 * (lost + kFloatRounding * (all.of_x + lost)));
  terms.reach = 2 * kLargestInteger * root * (all.of_x + lost);
  return terms;
}

// Ignores NaN. Vectorised, unlike std::max_element.
float Largest(const float* values, size_t count) {
  constexpr size_t kLanes = 8;
  float largest[kLanes];
  std::fill_n(largest, kLanes, -INFINITY);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) largest[j] = values[i + j] > largest[j] ? values[i + j] : largest[j];
  }
  for (; i < count; ++i) largest[0] = values[i] > largest[0] ? values[i] : largest[0];
  return *std::max_element(largest, largest + kLanes);
}

int32_t ColumnSum(const ScreenView& view, const TokenTerms& terms, size_t row) {
  const int8_t* values = view.column_values + row * kScreenColumns;
  int32_t sum = 0;
  for (size_t k = 0; k < kScreenColumns; ++k) sum += values[k] * terms.column_activations[k];
  return sum;
}

}  // namespace

bool ScreenScratch::Reserve(const TableView& table, size_t tokens, size_t workers) {
  const size_t chunks = (table.rows + kChunkRows - 1) / kChunkRows;
  tokens = std::min(tokens, kScreenTokens);
  if (table.rows > SIZE_MAX / sizeof(Survivor) / tokens) return false;
  return sums.Reserve(tokens * table.rows) && uppers.Reserve(tokens * table.rows) &&
         chunk_uppers.Reserve(tokens * chunks) && chunk_middles.Reserve(tokens * chunks) &&
         survivors.Reserve(tokens * table.rows) && chunk_order.Reserve(chunks) &&
         row_buffers.Reserve(workers * AlignedRowBytes(table.row_bytes));
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

size_t Screen::lower_row_bytes() const { return view_.row_bytes + (view_.norms == nullptr ? 0 : sizeof(float)); }

void Screen::ReadUpper() {
  const size_t rows = batch_.table.rows;
  // Large enough for the kernel's streams.
  const size_t tile_rows = std::max<size_t>(kUpperTileBytes / view_.row_bytes / kChunkRows, 1) * kChunkRows;
  const kernels::ActivationsView activations = batch_.packed->activations();
  kernels::ForEachTile(pool_, *batch_.cancelled, rows, tile_rows, [&](const kernels::Tile& tile) {
    batch_.filter.ForEachRun(tile.first, tile.count, [&](size_t first, size_t count) {
      const auto* upper = reinterpret_cast<const kernels::NibblePair*>(view_.upper + first * view_.row_bytes);
      batch_.kernels->nibbles->dot({upper, nullptr}, count, batch_.table.cols, activations.packed, batch_.tokens,
                                   scratch_.sums.get() + first, rows);
    });
    const size_t end = (tile.first + tile.count + kChunkRows - 1) / kChunkRows;
    for (size_t chunk = tile.first / kChunkRows; chunk < end; ++chunk) SumUp(chunk);
  });
}

void Screen::SumUp(size_t chunk) const {
  for (size_t t = 0; t < batch_.tokens; ++t) {
    float upper = -INFINITY, middle = -INFINITY;
    ForEachRun(chunk, [&](size_t row, size_t rows) {
      float middles[kChunkRows];
      float* uppers = scratch_.uppers.get() + t * batch_.table.rows + row;
      UpperBounds(t, row, rows, uppers, middles);
      upper = std::max(upper, Largest(uppers, rows));
      middle = std::max(middle, Largest(middles, rows));
    });
    scratch_.chunk_uppers[t * chunks() + chunk] = upper;
    scratch_.chunk_middles[t * chunks() + chunk] = middle;
  }
}

void Screen::UpperBounds(size_t token, size_t first, size_t count, float* uppers, float* middles) const {
  if (view_.columns == nullptr) {
    UpperBoundsOf<false>(token, first, count, uppers, middles);
  } else {
    UpperBoundsOf<true>(token, first, count, uppers, middles);
  }
}

// What is missing in the sums of rows, in float32: 7.5 of the lower nibbles, and the zero point of the stored integers.
void Screen::OffsetsOf(double total, size_t first, size_t count, float* offsets) const {
  const TableView& table = batch_.table;
  const double stored = table.is_float() ? 7.5 : 7.5 + 128;
  if (table.is_float() || table.zero_points == nullptr) {
    const double zero = table.is_float() ? 0 : table.NestedOffset(first);
    std::fill_n(offsets, count, static_cast<float>((stored - zero) / 16 * total));
    return;
  }
  for (size_t r = 0; r < count; ++r) {
    offsets[r] = static_cast<float>((stored - table.NestedOffset(first + r)) / 16 * total);
  }
}

// In float32 and in loops that compilers vectorise, since every row goes through them. The terms hold its roundings.
template <bool with_columns>
void Screen::UpperBoundsOf(size_t token, size_t first, size_t count, float* uppers, float* middles) const {
  const TokenTerms& terms = terms_[token];
  const TableView& table = batch_.table;
  const uint32_t* sums = scratch_.sums.get() + token * table.rows + first;
  const float* norms = view_.upper_norms + first;
  const auto sixteen = static_cast<float>(16 * terms.scale);
  const auto norm = static_cast<float>(terms.norm) * kFloatRoundUp;
  const auto slack = static_cast<float>(terms.slack) * kFloatRoundUp;
  const auto column_slack = static_cast<float>(terms.column_slack) * kFloatRoundUp;
  const auto reach = static_cast<float>(terms.reach) * kFloatRoundUp;
  float scales[kChunkRows], offsets[kChunkRows], far[kChunkRows];
  if (view_.scales != nullptr) std::copy_n(view_.scales + first, count, scales);
  for (size_t r = 0; view_.scales == nullptr && r < count; ++r) scales[r] = table.RowScale(first + r);
  OffsetsOf(terms.total, first, count, offsets);
  for (size_t r = 0; r < count; ++r) {
    const auto sum = static_cast<float>(kernels::CentredSum(sums[r], terms.eight_totals)) + offsets[r];
    const float residual = norms[r] * norm + static_cast<float>(kTiny);
    middles[r] = scales[r] * (sixteen * sum);
    uppers[r] = middles[r] + (std::fabs(scales[r]) * slack + residual);
    far[r] = std::fabs(scales[r]) * reach + residual;
  }
  for (size_t r = 0; with_columns && r < count; ++r) {
    const float scale = view_.column_scales[first + r];
    const auto sum = static_cast<float>(ColumnSum(view_, terms, first + r));
    const float of_columns = scale * (static_cast<float>(terms.scale) * sum);
    middles[r] += of_columns;
    uppers[r] += of_columns + std::fabs(scale) * column_slack;
    far[r] += std::fabs(scale) * reach;
  }
  if (batch_.bias != nullptr) {
    const float* biases = batch_.bias + first;
    for (size_t r = 0; r < count; ++r) {
      middles[r] += biases[r];
      uppers[r] += biases[r] + std::fabs(biases[r]) * static_cast<float>(kFloatRounding);
    }
  }
  // The comparisons are false for NaN, too.
  for (size_t r = 0; r < count; ++r) far[r] = norms[r] >= 0 ? far[r] : INFINITY;
  for (size_t r = 0; r < count; ++r) uppers[r] = far[r] < kLargest ? uppers[r] : INFINITY;
  for (size_t r = 0; r < count; ++r) uppers[r] = uppers[r] <= INFINITY ? uppers[r] : INFINITY;
}

void Screen::ReadLower(size_t token, size_t tokens, const uint32_t* rows, size_t count, uint32_t* sums,
                       size_t stride) const {
  const size_t token_bytes = batch_.kernels->nibbles->token_bytes(batch_.table.cols);
  const auto* packed = static_cast<const unsigned char*>(batch_.packed->activations().packed) + token * token_bytes;
  batch_.kernels->nibbles->dot({reinterpret_cast<const kernels::NibblePair*>(view_.lower), rows}, count,
                               batch_.table.cols, packed, tokens, sums, stride);
}

// The exact product of a row's integers, without zero point, and the activations.
double Screen::Sum(size_t token, size_t row, uint32_t lower_sum) const {
  const int offset = batch_.table.is_float() ? 128 : batch_.table.NestedOffset(row);
  return kernels::NestedSum(scratch_.sums[token * batch_.table.rows + row], lower_sum, offset, terms_[token].total);
}

LogitBounds Screen::FloatBounds(size_t token, size_t row, uint32_t lower_sum) const {
  const TokenTerms& terms = terms_[token];
  const double scale = static_cast<double>(view_.scales[row]);
  const double norm = static_cast<double>(view_.norms[row]);
  double middle = Sum(token, row, lower_sum) * scale;
  double deviation = norm * terms.norm + std::fabs(scale) * terms.full_slack + kTiny;
  double far = std::fabs(scale) * terms.reach + norm * terms.norm;
  if (view_.columns != nullptr) {
    const double column_scale = static_cast<double>(view_.column_scales[row]);
    middle += column_scale * ColumnSum(view_, terms, row) - scale * terms.half_columns;
    deviation += std::fabs(column_scale) * terms.column_slack;
    far += std::fabs(column_scale) * terms.reach;
  }
  middle = middle * terms.scale + BiasOf(row);
  // Also for storing the results as float32.
  deviation += (std::fabs(middle) + deviation) * kFloatRounding;
  const bool bounded = norm >= 0 && far < static_cast<double>(kLargest);
  if (!bounded || !(middle < static_cast<double>(kLargest))) return {INFINITY, INFINITY};
  if (middle < -static_cast<double>(kLargest)) return {middle == -INFINITY ? -INFINITY : INFINITY, INFINITY};
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
  for (size_t i = 0; i < count; ++i) {
    bounds[i] = batch_.table.is_float() ? FloatBounds(token, rows[i], lower_sums[i])
                                        : LogitBounds{QuantisedLogit(token, rows[i], lower_sums[i]), 0};
  }
}

void Screen::Refine(size_t token, const uint32_t* rows, size_t count, LogitBounds* bounds) const {
  uint32_t sums[kChunkRows];
  ReadLower(token, 1, rows, count, sums, kChunkRows);
  BoundsOf(token, rows, count, sums, bounds);
}

}  // namespace tied::runtime
