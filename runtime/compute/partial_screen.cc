#include "runtime/compute/partial_screen.h"

#include <algorithm>
#include <cmath>

namespace tied::runtime {

PartialScreen::PartialScreen(const HeadBatch& batch, const Screen& screen, const ScreenScratch& scratch)
    : batch_(batch), screen_(screen), view_(batch.table.screen), mask_(scratch.packed_mask()) {
  const size_t cols = batch.table.cols;
  const size_t steps = (cols + kernels::kNibbleRangeCols - 1) / kernels::kNibbleRangeCols;
  range_cols_ = (steps + kMostRanges - 1) / kMostRanges * kernels::kNibbleRangeCols;
  count_ = (cols + range_cols_ - 1) / range_cols_;
  for (size_t k = 0; k < cols; ++k) scratch.mask[k] = static_cast<int16_t>(IsColumn(k) ? 0 : 1);
  batch.kernels->nibbles->pack(scratch.mask.get(), 1, cols, mask_);
}

bool PartialScreen::IsColumn(size_t k) const {
  return view_.columns != nullptr && std::binary_search(view_.columns, view_.columns + kScreenColumns, k);
}

size_t PartialScreen::end(size_t range) const { return std::min(first(range) + range_cols_, batch_.table.cols); }

size_t PartialScreen::row_bytes(size_t range) const {
  return kernels::RowElements(static_cast<const kernels::NibblePair*>(nullptr), end(range) - first(range));
}

void PartialScreen::SetToken(size_t token) {
  const float* x = batch_.hidden + token * batch_.table.cols;
  size_t* const order = tokens_[token].order;
  double squares[kMostRanges] = {};
  for (size_t range = 0; range < count_; ++range) {
    order[range] = range;
    for (size_t k = first(range); k < end(range); ++k) {
      squares[range] += IsColumn(k) ? 0 : static_cast<double>(x[k]) * static_cast<double>(x[k]);
    }
  }
  std::stable_sort(order, order + count_, [&](size_t a, size_t b) { return squares[a] > squares[b]; });
  SetTerms(token, squares);
}

void PartialScreen::SetTerms(size_t token, const double* squares) {
  const int16_t* q = batch_.packed->quantised(token, batch_.table.cols);
  const TokenTerms& of_token = screen_.terms(token);
  const bool is_float = batch_.table.is_float();
  const size_t* const order = tokens_[token].order;
  int64_t total = 0;
  double half_columns = 0, read = 0, counted = 0;
  int16_t column_activations[kScreenColumns];
  std::copy_n(of_token.column_activations, kScreenColumns, column_activations);
  for (size_t i = 0; i < count_; ++i) {
    for (size_t k = first(order[i]); k < end(order[i]); ++k) total += q[k];
    counted += static_cast<double>(end(order[i]) - first(order[i]));
    for (size_t c = 0; view_.columns != nullptr && c < kScreenColumns; ++c) {
      const size_t k = view_.columns[c];
      if (k < first(order[i]) || k >= end(order[i])) continue;
      half_columns += 0.5 * q[k];
      counted -= 1;
      if (!is_float) column_activations[c] = 0;
    }
    double unread = 0;
    for (size_t j = i + 1; j < count_; ++j) unread += squares[order[j]];
    read += squares[order[i]];
    Terms& terms = tokens_[token].terms[i];
    terms.read_norm = of_token.NormOf(read);
    terms.unread_norm = of_token.NormOf(unread);
    // A float table's nibbles in calibrated columns are 8 and stand for 7.5.
    terms.half_total = 0.5 * static_cast<double>(total) - (is_float ? half_columns : 0);
    terms.counted = counted;
    terms.eight_totals = kernels::EightTotals(static_cast<double>(total));
    std::copy_n(column_activations, kScreenColumns, terms.column_activations);
  }
}

void PartialScreen::Read(size_t token, size_t range, RefinedRows* rows) const {
  const kernels::NibbleSpreads of_mask = {mask_, rows->range_spreads};
  const kernels::NibbleRows lower = {reinterpret_cast<const kernels::NibblePair*>(view_.lower), rows->rows,
                                     batch_.table.cols, first(range), end(range) - first(range)};
  batch_.kernels->nibbles->dot(lower, rows->count, screen_.packed(token), 1, rows->range_sums, rows->count, &of_mask);
  kernels::AddSums(rows->range_sums, rows->count, rows->sums);
  kernels::AddSums(rows->range_spreads, rows->count, rows->spreads);
}

void PartialScreen::PrefetchChunk(size_t token, size_t first_row) const {
  constexpr size_t kLine = 64;
  const float* const scales = view_.scales != nullptr ? view_.scales : batch_.table.scales;
  for (const void* array : {static_cast<const void*>(screen_.sums(token)), static_cast<const void*>(scales),
                            static_cast<const void*>(view_.upper_norms), static_cast<const void*>(view_.norms),
                            static_cast<const void*>(view_.column_scales)}) {
    if (array == nullptr) continue;
    const char* const from = static_cast<const char*>(array) + first_row * sizeof(float);
    for (size_t byte = 0; byte < kChunkRows * sizeof(float); byte += kLine) __builtin_prefetch(from + byte);
  }
}

// What is known of some rows beforehand.
void PartialScreen::Gather(size_t token, RefinedRows* rows) const {
  const TableView& table = batch_.table;
  const double total = screen_.terms(token).total;
  const uint32_t* const sums = screen_.sums(token);
  const uint32_t* const ids = rows->rows;
  const size_t count = rows->count;
  for (size_t i = 0; i < count; ++i) rows->upper_sums[i] = sums[ids[i]];
  for (size_t i = 0; i < count; ++i) rows->upper_norms[i] = view_.upper_norms[ids[i]];
  for (size_t i = 0; i < count; ++i) {
    rows->scales[i] = view_.scales != nullptr ? view_.scales[ids[i]] : table.RowScale(ids[i]);
  }
  for (size_t i = 0; i < count; ++i) rows->norms[i] = view_.norms != nullptr ? view_.norms[ids[i]] : 0.0f;
  std::fill_n(rows->offsets, count, Screen::OffsetOf(table, total, 0));
  for (size_t i = 0; !table.is_float() && table.zero_points != nullptr && i < count; ++i) {
    rows->offsets[i] = Screen::OffsetOf(table, total, ids[i]);
  }
  for (size_t i = 0; view_.columns != nullptr && i < count; ++i) rows->column_scales[i] = view_.column_scales[ids[i]];
  for (size_t i = 0; batch_.bias != nullptr && i < count; ++i) rows->biases[i] = batch_.bias[ids[i]];
}

void PartialScreen::SetUpperBounds(size_t token, size_t read, RefinedRows* rows) const {
  const TokenTerms& of_token = screen_.terms(token);
  const Terms& terms = tokens_[token].terms[read - 1];
  const kernels::BoundKernels& bounds = *batch_.kernels->nibbles->bounds;
  const size_t count = rows->count;
  Gather(token, rows);
  kernels::BoundRows known = {};
  known.sums = rows->upper_sums;
  known.offsets = rows->offsets;
  known.scales = rows->scales;
  known.upper_norms = rows->upper_norms;
  known.norms = rows->norms;
  if (view_.columns != nullptr) {
    bounds.column_sums(view_.column_values, rows->rows, count, terms.column_activations, rows->column_sums);
    known.column_sums = rows->column_sums;
    known.column_scales = rows->column_scales;
  }
  if (batch_.bias != nullptr) known.biases = rows->biases;
  const kernels::LowerSums lower = {rows->sums,
                                    rows->spreads,
                                    terms.eight_totals,
                                    static_cast<float>(terms.half_total / 16),
                                    static_cast<float>(terms.counted),
                                    RoundedUp(terms.read_norm)};
  bounds.from_part(screen_.FloatTerms(token, terms.unread_norm, of_token.partial_slack), known, lower, count,
                   rows->uppers);
}

void RefinedRows::Keep(float threshold) {
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    rows[kept] = rows[i];
    sums[kept] = sums[i];
    spreads[kept] = spreads[i];
    kept += uppers[i] < threshold ? 0 : 1;
  }
  count = kept;
}

}  // namespace tied::runtime
