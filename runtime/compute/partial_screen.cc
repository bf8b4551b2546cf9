#include "runtime/compute/partial_screen.h"

#include <algorithm>
#include <cmath>

namespace tied::runtime {

PartialScreen::PartialScreen(const HeadBatch& batch, const Screen& screen, const ScreenScratch& scratch)
    : batch_(batch), screen_(screen), view_(batch.table.screen), mask_(scratch.packed_mask()) {
  SetRanges();
  SetMask(scratch);
  for (size_t t = 0; t < batch.tokens; ++t) SetTerms(t);
}

bool PartialScreen::IsColumn(size_t k) const {
  return view_.columns != nullptr && std::binary_search(view_.columns, view_.columns + kScreenColumns, k);
}

void PartialScreen::SetRanges() {
  const size_t cols = batch_.table.cols;
  const size_t steps = (cols + kernels::kNibbleRangeCols - 1) / kernels::kNibbleRangeCols;
  const size_t range_cols = (steps + kMost - 1) / kMost * kernels::kNibbleRangeCols;
  for (size_t first = 0; first < cols; first += range_cols) {
    ranges_[count_++] = {first, std::min(range_cols, cols - first), {}, 0};
  }
  for (size_t t = 0; t < batch_.tokens; ++t) {
    double all = 0;
    for (size_t k = 0; k < cols; ++k) {
      const double x = static_cast<double>(batch_.hidden[t * cols + k]);
      if (IsColumn(k)) continue;
      ranges_[k / range_cols].squares[t] += x * x;
      all += x * x;
    }
    for (size_t i = 0; i < count_ && all > 0; ++i) ranges_[i].energy += ranges_[i].squares[t] / all;
  }
  std::stable_sort(ranges_, ranges_ + count_, [](const Range& a, const Range& b) { return a.energy > b.energy; });
}

void PartialScreen::SetMask(const ScreenScratch& scratch) {
  size_t masked = 0;
  for (size_t i = 0; i < count_; ++i) {
    const size_t end = ranges_[i].first + ranges_[i].count;
    for (size_t k = ranges_[i].first; k < end; ++k) {
      scratch.mask[k] = static_cast<int16_t>(IsColumn(k) ? 0 : 1);
      masked += IsColumn(k) ? 0 : 1;
    }
    masked_[i] = masked;
  }
  batch_.kernels->nibbles->pack(scratch.mask.get(), 1, batch_.table.cols, scratch.packed_mask());
}

void PartialScreen::SetTerms(size_t token) {
  const int16_t* q = batch_.packed->quantised(token, batch_.table.cols);
  const TokenTerms& of_token = screen_.terms(token);
  const bool is_float = batch_.table.is_float();
  int64_t total = 0;
  double half_columns = 0, read = 0;
  for (size_t i = 0; i < count_; ++i) {
    Terms& terms = terms_[token][i];
    std::copy_n(i == 0 ? of_token.column_activations : terms_[token][i - 1].column_activations, kScreenColumns,
                terms.column_activations);
    for (size_t k = ranges_[i].first; k < ranges_[i].first + ranges_[i].count; ++k) total += q[k];
    for (size_t c = 0; view_.columns != nullptr && c < kScreenColumns; ++c) {
      const size_t k = view_.columns[c];
      if (k < ranges_[i].first || k >= ranges_[i].first + ranges_[i].count) continue;
      half_columns += 0.5 * q[k];
      if (!is_float) terms.column_activations[c] = 0;
    }
    // A float table's nibbles in calibrated columns are 8 and stand for 7.5.
    terms.half_total = 0.5 * static_cast<double>(total) - (is_float ? half_columns : 0);
    terms.eight_totals = kernels::EightTotals(static_cast<double>(total));
    double unread = 0;
    for (size_t j = i + 1; j < count_; ++j) unread += ranges_[j].squares[token];
    read += ranges_[i].squares[token];
    terms.read_norm = of_token.NormOf(read);
    terms.unread_norm = of_token.NormOf(unread);
  }
}

size_t PartialScreen::row_bytes(size_t range) const {
  return kernels::RowElements(static_cast<const kernels::NibblePair*>(nullptr), ranges_[range].count);
}

void PartialScreen::Read(size_t range, const uint32_t* rows, size_t count, uint32_t* sums, size_t stride,
                         uint32_t* spreads) const {
  const kernels::NibbleSpreads of_mask = {mask_, spreads};
  const kernels::NibbleRows lower = {reinterpret_cast<const kernels::NibblePair*>(view_.lower), rows,
                                     batch_.table.cols, ranges_[range].first, ranges_[range].count};
  batch_.kernels->nibbles->dot(lower, count, batch_.packed->activations().packed, batch_.tokens, sums, stride,
                               &of_mask);
}

void PartialScreen::Gather(const uint32_t* rows, size_t count, Rows* gathered) const {
  const TableView& table = batch_.table;
  gathered->rows = rows;
  gathered->count = count;
  for (size_t i = 0; i < count; ++i) gathered->upper_norms[i] = view_.upper_norms[rows[i]];
  for (size_t i = 0; i < count; ++i) {
    gathered->scales[i] = view_.scales != nullptr ? view_.scales[rows[i]] : table.RowScale(rows[i]);
  }
  for (size_t i = 0; i < count; ++i) gathered->norms[i] = view_.norms != nullptr ? view_.norms[rows[i]] : 0.0f;
}

void PartialScreen::UpperBounds(size_t token, size_t read, const Rows& rows, const uint32_t* lower_sums,
                                const uint32_t* spreads, float* uppers) const {
  const TableView& table = batch_.table;
  const TokenTerms& of_token = screen_.terms(token);
  const Terms& terms = terms_[token][read - 1];
  const kernels::BoundKernels& bounds = *batch_.kernels->nibbles->bounds;
  const size_t count = rows.count;
  uint32_t sums[kMostRows];
  float offsets[kMostRows], far[kMostRows];
  for (size_t i = 0; i < count; ++i) sums[i] = screen_.sums(token)[rows.rows[i]];
  std::fill_n(offsets, count, Screen::OffsetOf(table, of_token.total, 0));
  for (size_t i = 0; !table.is_float() && table.zero_points != nullptr && i < count; ++i) {
    offsets[i] = Screen::OffsetOf(table, of_token.total, rows.rows[i]);
  }
  const kernels::LowerSums lower = {lower_sums,
                                    spreads,
                                    terms.eight_totals,
                                    static_cast<float>(terms.half_total / 16),
                                    static_cast<float>(masked_[read - 1]),
                                    RoundedUp(terms.read_norm)};
  bounds.from_part(screen_.FloatTerms(token, terms.unread_norm, of_token.partial_slack),
                   {sums, offsets, rows.scales, rows.upper_norms, rows.norms}, lower, count, uppers, far);
  if (view_.columns != nullptr) {
    float products[kMostRows], scales[kMostRows];
    for (size_t i = 0; i < count; ++i) {
      products[i] = screen_.ColumnProduct(token, terms.column_activations, rows.rows[i]);
      scales[i] = view_.column_scales[rows.rows[i]];
    }
    screen_.AddColumns(token, products, scales, count, uppers, far);
  }
  if (batch_.bias != nullptr) {
    float biases[kMostRows];
    for (size_t i = 0; i < count; ++i) biases[i] = batch_.bias[rows.rows[i]];
    Screen::AddBiases(biases, count, uppers);
  }
  bounds.finish(rows.upper_norms, far, kLargestLogit, count, uppers);
}

}  // namespace tied::runtime
