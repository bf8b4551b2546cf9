// Exponentials in float64, in plain arithmetic that compilers vectorise for each instruction set, with the same bits.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_EXPONENTIALS_H_
#define TIED_KERNELS_EXPONENTIALS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tied::kernels {
namespace {

inline constexpr double kLog2High = 0x1.62e42fee00000p-1;  // 32 bits of log(2): its product with an exponent is exact
inline constexpr double kLog2Low = 0x1.a39ef35793c76p-33;

// exp(x) for x <= 0, with a relative error of at most 2^-50 and an absolute one of 2^-1020; NaN for NaN.
// exp(x) = 2^n * exp(r), |r| <= log(2) / 2; exp(r) by its Taylor series, whose first omitted term is below 2^-57.
inline __attribute__((always_inline)) double ExpOfNegative(double x) {
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

inline void ExpsOfNegatives(double* x, size_t count) {
  for (size_t i = 0; i < count; ++i) x[i] = ExpOfNegative(x[i]);
}

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_EXPONENTIALS_H_
