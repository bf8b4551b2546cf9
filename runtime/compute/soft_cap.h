// Soft-capped logits, cap * tanh(x / cap), in plain arithmetic of a fixed order, so every CPU gives the same bits.
#ifndef TIED_RUNTIME_COMPUTE_SOFT_CAP_H_
#define TIED_RUNTIME_COMPUTE_SOFT_CAP_H_

#include <cstddef>

namespace tied::runtime {

// tanh(x) rounded to float32, off by at most 0.5001 units in the last place; it never decreases, is odd, and keeps NaN.
float Tanh(float x);

// The quotient, its tanh and the product are each rounded to float32. None of them decreases, so the order of logits
// stays, but logits that differ may become equal.
inline float SoftCap(float x, float cap) { return cap * Tanh(x / cap); }

// Caps logits in place; a cap of 0 leaves them unchanged.
void SoftCapRow(float cap, float* logits, size_t count);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SOFT_CAP_H_
