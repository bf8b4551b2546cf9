// Quantised activations: hidden states as 16-bit integers, for products with integer tables.
//
// A hidden state x is written as x[k] = scale * q[k] + e[k], where
//   scale = max |x| / 32512, in float64;  q[k] = x[k] / scale, rounded to nearest, ties to even;  |q[k]| <= 32512.
// Its product with a row of integers w is the exact sum(w[k] * q[k]), times both scales. 32512 is 127 * 256, so that
// q = 256 * upper + lower with two int8, for CPUs that multiply bytes.
#ifndef TIED_KERNELS_ACTIVATIONS_H_
#define TIED_KERNELS_ACTIVATIONS_H_

#include <cstddef>
#include <cstdint>

namespace tied::kernels {

inline constexpr int kMaxActivation = 32512;

struct ActivationScale {
  double scale;  // NaN if an element of x is not finite; all products are then NaN
  double total;  // sum of q
};

// x: [cols], the hidden state; q: [cols], its activations.
ActivationScale QuantiseHidden(const float* x, size_t cols, int16_t* q);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_ACTIVATIONS_H_
