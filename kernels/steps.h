// Hidden states as integers: what the products with integer tables start from.
//
// A hidden state x of n elements is written as x[k] = step * q[k] + e[k]:
//   step = max |x| / 32512, in float64;  q[k] = x[k] / step, rounded to nearest, ties to even;  |q[k]| <= 32512.
// A product with a table of integers w is then sum(w[k] * q[k]), exact, times step and the table's scale. 32512 is
// 127 * 256: q = 256 * high + low with two int8 halves, for the CPUs that multiply bytes.
#ifndef TIED_KERNELS_STEPS_H_
#define TIED_KERNELS_STEPS_H_

#include <cstddef>
#include <cstdint>

namespace tied::kernels {

inline constexpr int kMaxStep = 32512;

struct StepScale {
  double step;   // NaN if an element of x is not finite: so are all products then
  double total;  // sum of q
};

// x, q: [cols].
StepScale QuantizeHidden(const float* x, size_t cols, int16_t* q);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_STEPS_H_
