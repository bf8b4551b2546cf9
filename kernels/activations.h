// Quantised activations: hidden states as 16-bit integers, which products with integer tables take.
//
// A hidden state x of n elements is written as x[k] = scale * q[k] + e[k]:
//   scale = max |x| / 32512, in float64;  q[k] = x[k] / scale, rounded to nearest, ties to even;  |q[k]| <= 32512.
// A product with a table of integers w is then sum(w[k] * q[k]), exact, times both scales. 32512 is
// 127 * 256, so that q = 256 * upper + lower with two int8, for CPUs that multiply bytes.
#ifndef TIED_KERNELS_ACTIVATIONS_H_
#define TIED_KERNELS_ACTIVATIONS_H_

#include <cstddef>
#include <cstdint>

namespace tied::kernels {

inline constexpr int kMaxActivation = 32512;

struct ActivationScale {
  double scale;  // NaN if an element of x is not finite: so are all products then
  double total;  // sum of q
};

// x, q: [cols], hidden state and activations.
ActivationScale QuantiseHidden(const float* x, size_t cols, int16_t* q);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_ACTIVATIONS_H_
