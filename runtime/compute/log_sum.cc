#include "runtime/compute/log_sum.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace tied::runtime {

namespace {

constexpr double kLog2High = 0x1.62e42fee00000p-1;  // 32 bits of log(2): its product with an exponent is exact
constexpr double kLog2Low = 0x1.a39ef35793c76p-33;

}  // namespace

// exp(x) = 2^n * exp(r), |r| <= log(2) / 2; exp(r) by its Taylor series, whose first omitted term is below 2^-57.
double ExpOfNegative(double x) {
  constexpr double kRound = 0x1.8p52;
  x = x < -707.0 ? -707.0 : x;
  const double shifted = x * 0x1.71547652b82fep0 + kRound;
  const double n = shifted - kRound;
  const double r = (x - n * kLog2High) - n * kLog2Low;
  double series = 1.0 / 6227020800.0;
  series = series * r + 1.0 / 479001600.0;
  series = series * r + 1.0 / 39916800.0;
  series = series * r + 1.0 / 3628800.0;
  series = series * r + 1.0 / 362880.0;
  series = series * r + 1.0 / 40320.0;
  series = series * r + 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  series = series * r + 1.0;
  series = series * r + 1.0;
  // The lowest bits of `shifted` are n, in two's complement.
  uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return series * power;
}

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
  return exponent * kLog2High + (exponent * kLog2Low + 2 * s * series);
}

LogSum LogSum::Of(const float* x, size_t count) {
  float max = -INFINITY;
  bool nan = false;
  for (size_t i = 0; i < count; ++i) {
    max = std::max(max, x[i]);
    nan = nan || std::isnan(x[i]);
  }
  if (nan) return {static_cast<double>(max), NAN};
  if (std::isinf(max)) return {static_cast<double>(max), max > 0 ? 1.0 : 0.0};
  constexpr size_t kSums = 4;
  double sums[kSums] = {};
  for (size_t i = 0; i < count; ++i) sums[i % kSums] += ExpOfNegative(static_cast<double>(x[i]) - max);
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
    sum += other.sum * ExpOfNegative(other.max - max);
  } else {
    sum = sum * ExpOfNegative(max - other.max) + other.sum;
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

void LogSoftmax(float* logits, size_t rows, size_t tile_rows) {
  LogSum total{-INFINITY, 0};
  for (size_t r = 0; r < rows; r += tile_rows) total.Add(LogSum::Of(logits + r, std::min(tile_rows, rows - r)));
  const double log_z = total.Log();
  for (size_t r = 0; r < rows; ++r) logits[r] = static_cast<float>(static_cast<double>(logits[r]) - log_z);
}

}  // namespace tied::runtime
