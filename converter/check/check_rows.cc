#include "converter/check/check_rows.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "converter/output/open_model.h"
#include "schema/number_format.h"

namespace tied::converter {

namespace {

constexpr size_t kTokens = 2;
constexpr double kSlack = 1 + 0x1p-10;  // for the rounding of scales

// The first operation of a kind, which the typed calls use.
template <class Op>
std::optional<Op> FirstOf(const Plan& plan) {
  for (const PlannedEntryPoint& entry_point : plan.entry_points) {
    for (const PlannedOp& op : entry_point.ops) {
      if (const auto* found = std::get_if<Op>(&op.operation)) return *found;
    }
  }
  return std::nullopt;
}

bool InBlocks(const TableEncoding& encoding) {
  return encoding.type == format::DataType::Int4 || encoding.scale_of == format::ScaleOf::kBlock;
}

// Half a step of the plain scale of a block, which covers all of its values.
double PlainHalfStep(const TableEncoding& encoding, const float* row, size_t first, size_t end) {
  const auto [smallest, largest] = std::minmax_element(row + first, row + end);
  const double low = std::min(*smallest, 0.0f), high = std::max(*largest, 0.0f);
  const double plain = encoding.type == format::DataType::Int4 ? (high - low) / 15 : std::max(high, -low) / 127;
  // A scale of float16 is at least 2^-24, and rounded.
  return encoding.half_scales ? std::max(plain, 0x1p-24) / 2 * (1 + 0x1p-9) : plain / 2;
}

// Largest difference of the stored number from row[k].
double HalfStep(const TableEncoding& encoding, const float* row, size_t cols, size_t k) {
  if (encoding.lossless) return 0;
  switch (encoding.type) {
    case format::DataType::Float16:
      return std::fabs(row[k]) * 0x1p-11 + 0x1p-25;
    case format::DataType::BFloat16:
      return std::fabs(row[k]) * 0x1p-8 + 0x1p-134;
    case format::DataType::Int8: {
      const auto [smallest, largest] = std::minmax_element(row, row + cols);
      return std::max(std::fabs(*smallest), std::fabs(*largest)) / 127.0 / 2 * kSlack;
    }
    default:
      return 0;
  }
}

class RowCheck {
 public:
  RowCheck(const Plan& plan, const std::string& path, const EmbeddingOp& embedding, std::optional<HeadOp> head)
      : source_(plan.tables[embedding.table]),
        encoding_(plan.encodings[embedding.table]),
        cols_(static_cast<size_t>(source_.cols())),
        scale_(embedding.scale),
        head_(head),
        opened_(path),
        hidden_(kTokens * cols_),
        logits_(kTokens * static_cast<size_t>(source_.vocabulary())) {
    std::mt19937_64 random(2);
    for (float& x : hidden_) x = std::normal_distribution<float>()(random);
    if (!head_) return;
    if (head_->bias >= 0) bias_ = plan.biases[static_cast<size_t>(head_->bias)].ReadFloats();
    tied_error error;
    Require(tied_logits(opened_.session(), hidden_.data(), kTokens, logits_.data(), logits_.size(), &error), error);
  }

  RowsCheck Run() {
    source_.ForEachBlock([&](const RowBlock& block) {
      std::vector<int64_t> ids(block.count);
      for (size_t r = 0; r < block.count; ++r) ids[r] = static_cast<int64_t>(source_.IdOf(block.first + r));
      rows_.resize(block.count * cols_);
      tied_error error;
      Require(tied_embed(opened_.session(), ids.data(), ids.size(), rows_.data(), rows_.size(), &error), error);
      for (size_t r = 0; r < block.count; ++r) {
        CheckRow(block.values + r * cols_, &rows_[r * cols_]);
        if (head_) CheckLogits(static_cast<size_t>(block.first) + r, &rows_[r * cols_]);
      }
      return true;
    });
    RowsCheck check;
    check.lossless = encoding_.lossless;
    check.worst_row = worst_row_;
    if (head_) check.worst_logit = worst_logit_;
    return check;
  }

 private:
  bool HasIntegers() const { return format::FindFormat(encoding_.type)->is_quantised; }

  // NaN also counts as too large.
  static void Raise(double* worst, double error, double bound) {
    if (error == 0) return;
    const double share = error / bound;
    *worst = share <= *worst ? *worst : std::isnan(share) ? INFINITY : share;
  }

  // A block has the scale with the least weighted sum of squared errors, which is at most that of the plain scale.
  void CheckBlocks(const float* original, const float* stored) {
    for (size_t first = 0; first < cols_; first += format::kBlockCols) {
      const size_t end = std::min(cols_, first + format::kBlockCols);
      const double scale = std::fabs(scale_), step = PlainHalfStep(encoding_, original, first, end);
      double found = 0, allowed = 0;
      for (size_t k = first; k < end; ++k) {
        const double weight = encoding_.column_weights.empty() ? 1.0 : static_cast<double>(encoding_.column_weights[k]);
        const double expected = static_cast<double>(original[k]) * scale_;
        const double rounding = 0x1p-23 * (std::fabs(expected) + step * scale) + 0x1p-149;
        found += weight * std::pow(stored[k] - expected, 2);
        allowed += weight * std::pow(step * scale * kSlack + rounding, 2);
      }
      Raise(&worst_row_, std::sqrt(found), std::sqrt(allowed));
    }
  }

  void CheckRow(const float* original, const float* stored) {
    if (!encoding_.lossless && InBlocks(encoding_)) {
      CheckBlocks(original, stored);
      return;
    }
    double step = 0;
    for (size_t k = 0; k < cols_; ++k) {
      if (!HasIntegers() || k % format::kBlockCols == 0) step = HalfStep(encoding_, original, cols_, k);
      const double expected = static_cast<double>(original[k]) * scale_;
      const double rounding = scale_ == 1 ? 0 : 0x1p-24 * (std::fabs(expected) + step * std::fabs(scale_)) + 0x1p-149;
      Raise(&worst_row_, std::fabs(stored[k] - expected), step * std::fabs(scale_) + rounding);
    }
  }

  void CheckLogits(size_t row, const float* stored) {
    for (size_t t = 0; t < kTokens; ++t) {
      const float* x = &hidden_[t * cols_];
      double sum = 0, magnitude = 0, weights = 0, largest = 0;
      for (size_t k = 0; k < cols_; ++k) {
        const double weight = static_cast<double>(stored[k]) / scale_ * static_cast<double>(head_->scale);
        sum += weight * x[k];
        magnitude += std::fabs(weight * x[k]);
        weights += std::fabs(weight);
        largest = std::max(largest, static_cast<double>(std::fabs(x[k])));
      }
      const double bias = bias_.empty() ? 0 : static_cast<double>(bias_[row]);
      // Roundings of the products, their sum, the scaled hidden state, and the soft cap's quotient, tanh and product.
      const double roundings = static_cast<double>(cols_ + 9) * 0x1p-24 * (magnitude + std::fabs(bias));
      // With integer tables, hidden states are quantised, with an error of half a unit of the largest element.
      const double steps = HasIntegers() ? 0.5 / format::kLargestQuantisedHidden * largest * weights : 0;
      const double found =
          logits_[t * static_cast<size_t>(source_.vocabulary()) + static_cast<size_t>(source_.IdOf(row))];
      const auto cap = static_cast<double>(head_->soft_cap);
      const double expected = cap == 0 ? sum + bias : cap * std::tanh((sum + bias) / cap);
      Raise(&worst_logit_, std::fabs(found - expected), (roundings + steps) * kSlack + 0x1p-140);
    }
  }

  const TableSource& source_;
  const TableEncoding encoding_;
  const size_t cols_;
  const float scale_;
  const std::optional<HeadOp> head_;
  const OpenModel opened_;
  std::vector<float> hidden_;
  std::vector<float> logits_;
  std::vector<float> bias_;
  std::vector<float> rows_;
  double worst_row_ = 0;
  double worst_logit_ = 0;
};

}  // namespace

std::optional<RowsCheck> CheckRows(const Plan& plan, const std::string& tied_path) {
  const std::optional<EmbeddingOp> embedding = FirstOf<EmbeddingOp>(plan);
  std::optional<HeadOp> head = FirstOf<HeadOp>(plan);
  if (!embedding || embedding->scale == 0) return std::nullopt;
  if (head && head->table != embedding->table) head.reset();
  return RowCheck(plan, tied_path, *embedding, head).Run();
}

}  // namespace tied::converter
