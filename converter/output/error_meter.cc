#include "converter/output/error_meter.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "converter/output/recorded_hidden.h"

namespace tied::converter {

namespace {

constexpr size_t kRandomTokens = 8;
constexpr size_t kMaxRecordedTokens = 64;

// Eight sums, which compilers vectorise. The errors to measure are far larger than its rounding.
float Dot(const float* a, const float* b, size_t count) {
  constexpr size_t kSums = 8;
  float sums[kSums] = {};
  size_t k = 0;
  for (; k + kSums <= count; k += kSums) {
    for (size_t j = 0; j < kSums; ++j) sums[j] += a[k + j] * b[k + j];
  }
  for (; k < count; ++k) sums[0] += a[k] * b[k];
  return std::accumulate(sums, sums + kSums, 0.0f);
}

// In loops that compilers vectorise, too.
void AddErrors(const float* before, const float* after, size_t count, ErrorMeter::WeightErrors* errors) {
  constexpr size_t kSums = 8;
  double sums[kSums] = {};
  float largest[kSums] = {};
  const auto add = [&](size_t k, size_t j) {
    const float error = std::fabs(before[k] - after[k]);
    largest[j] = error > largest[j] ? error : largest[j];
    sums[j] += static_cast<double>(error) * static_cast<double>(error);
  };
  size_t k = 0;
  for (; k + kSums <= count; k += kSums) {
    for (size_t j = 0; j < kSums; ++j) add(k + j, j);
  }
  for (; k < count; ++k) add(k, 0);
  for (size_t j = 0; j < kSums; ++j) {
    errors->largest = std::max(errors->largest, static_cast<double>(largest[j]));
    errors->sum_of_squares += sums[j];
  }
}

std::vector<size_t> Best(const float* logits, size_t rows, size_t k) {
  std::vector<size_t> order(rows);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(k);
  std::partial_sort(order.begin(), end, order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  return {order.begin(), end};
}

}  // namespace

ErrorMeter::ErrorMeter(uint64_t rows, uint64_t cols, const std::string& recorded)
    : rows_(static_cast<size_t>(rows)), cols_(static_cast<size_t>(cols)), hidden_(kRandomTokens * cols_) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (float& value : hidden_) value = normal(random);
  if (!recorded.empty()) {
    const std::vector<float> hidden = ReadRecordedHidden(recorded, cols, kMaxRecordedTokens);
    recorded_tokens_ = hidden.size() / cols_;
    hidden_.insert(hidden_.end(), hidden.begin(), hidden.end());
  }
  original_.resize(hidden_.size() / cols_ * rows_);
  stored_.resize(original_.size());
}

ErrorMeter::WeightErrors ErrorMeter::Measure(uint64_t first, const float* original, const float* stored, size_t count) {
  WeightErrors errors;
  const size_t tokens = hidden_.size() / cols_;
  for (size_t r = 0; r < count; ++r) {
    const float* before = original + r * cols_;
    const float* after = stored + r * cols_;
    AddErrors(before, after, cols_, &errors);
    for (size_t t = 0; t < tokens; ++t) {
      const size_t logit = t * rows_ + static_cast<size_t>(first) + r;
      original_[logit] = Dot(before, &hidden_[t * cols_], cols_);
      stored_[logit] = Dot(after, &hidden_[t * cols_], cols_);
    }
  }
  return errors;
}

void ErrorMeter::Add(const WeightErrors& errors) {
  errors_.largest = std::max(errors_.largest, errors.largest);
  errors_.sum_of_squares += errors.sum_of_squares;
}

MeasuredError ErrorMeter::Report() const {
  MeasuredError report;
  report.largest_weight = errors_.largest;
  report.rms_weight = std::sqrt(errors_.sum_of_squares / (static_cast<double>(rows_) * static_cast<double>(cols_)));
  report.logits.push_back(ReportLogits("random", 0, kRandomTokens));
  if (recorded_tokens_ > 0) report.logits.push_back(ReportLogits("recorded", kRandomTokens, recorded_tokens_));
  return report;
}

LogitErrors ErrorMeter::ReportLogits(const char* kind, size_t first_token, size_t tokens) const {
  const size_t k = std::min<size_t>(10, rows_);
  float largest = 0;
  size_t same_best = 0;
  size_t overlap = 0;
  for (size_t t = first_token; t < first_token + tokens; ++t) {
    const float* original = &original_[t * rows_];
    const float* stored = &stored_[t * rows_];
    for (size_t r = 0; r < rows_; ++r) largest = std::max(largest, std::fabs(original[r] - stored[r]));
    const std::vector<size_t> before = Best(original, rows_, k), after = Best(stored, rows_, k);
    same_best += before[0] == after[0];
    for (const size_t row : before) overlap += static_cast<size_t>(std::count(after.begin(), after.end(), row));
  }
  const double share = static_cast<double>(overlap) / static_cast<double>(tokens * k);
  return {kind, tokens, static_cast<double>(largest), same_best, k, share};
}

}  // namespace tied::converter
