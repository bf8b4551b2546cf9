#include "runtime/compute/log_sum.h"

#include <algorithm>
#include <cmath>

#include "kernels/exponentials.h"

namespace tied::runtime {

namespace {

// Logits whose exponentials are computed at a time.
constexpr size_t kAtOnce = 256;

}  // namespace

// log(x) = e * log(2) + 2 * artanh((m - 1) / (m + 1)), x = m * 2^e, m in [sqrt(1/2), sqrt(2)); the first omitted term
// of the series is below 2^-60 of the sum. The C library's log() differs between CPUs in its last bit.
double LogOfPositive(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0x1.6a09e667f3bcdp-1) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1), s2 = s * s;
  double series = 0;
  for (int n = 21; n >= 1; n -= 2) series = series * s2 + 1.0 / n;
  return exponent * kernels::kLog2High + (exponent * kernels::kLog2Low + 2 * s * series);
}

LogSum LogSum::Of(const kernels::Kernels& kernels, const float* x, size_t count) {
  const float max = kernels.nibbles->bounds->largest(x, count);
  if (std::isinf(max)) {
    const bool nan = std::any_of(x, x + count, [](float logit) { return std::isnan(logit); });
    return {static_cast<double>(max), nan ? NAN : max > 0 ? 1.0 : 0.0};
  }
  constexpr size_t kSums = 4;
  static_assert(kAtOnce % kSums == 0);
  double sums[kSums] = {};
  for (size_t first = 0; first < count; first += kAtOnce) {
    const size_t some = std::min(kAtOnce, count - first);
    double exps[kAtOnce];
    for (size_t i = 0; i < some; ++i) exps[i] = static_cast<double>(x[first + i]) - static_cast<double>(max);
    kernels.exps(exps, some);
    for (size_t i = 0; i < some; ++i) sums[i % kSums] += exps[i];
  }
  return {static_cast<double>(max), (sums[0] + sums[1]) + (sums[2] + sums[3])};
}

void LogSum::Add(const LogSum& other) {
  if (std::isnan(sum) || std::isnan(other.sum)) {
    sum = NAN;
    return;
  }
  if (other.max == -INFINITY) return;
  if (std::isinf(max)) {
    if (max < 0) *this = other;
    return;
  }
  if (other.max == INFINITY) {
    *this = other;
  } else if (other.max <= max) {
    sum += other.sum * kernels::ExpOfNegative(other.max - max);
  } else {
    sum = sum * kernels::ExpOfNegative(max - other.max) + other.sum;
    max = other.max;
  }
}

double LogSum::Log() const {
  if (std::isnan(sum)) return sum;
  return std::isinf(max) ? max : max + LogOfPositive(sum);
}

// Each exponential has an error of up to 2^-50, each of at most logit_count + 2 * term_count additions up to 2^-53.
LogZ LogOfSum(const LogSum* terms, size_t term_count, size_t stride, size_t logit_count) {
  LogSum total{-INFINITY, 0};
  for (size_t i = 0; i < term_count; ++i) total.Add(terms[i * stride]);
  const double value = total.Log();
  if (std::isnan(value) || std::isinf(total.max)) return {value, 0};
  const double roundings = static_cast<double>(logit_count + 2 * term_count + 32);
  return {value, roundings * 0x1p-52 + std::fabs(value) * 0x1p-50};
}

void LogSoftmax(const kernels::Kernels& kernels, float* logits, size_t rows, size_t tile_rows) {
  LogSum total{-INFINITY, 0};
  for (size_t r = 0; r < rows; r += tile_rows) {
    total.Add(LogSum::Of(kernels, logits + r, std::min(tile_rows, rows - r)));
  }
  const double log_z = total.Log();
  for (size_t r = 0; r < rows; ++r) logits[r] = static_cast<float>(static_cast<double>(logits[r]) - log_z);
}

}  // namespace tied::runtime
