#include "runtime/compute/soft_cap.h"

#include <cmath>

#include "kernels/exponentials.h"

namespace tied::runtime {

// (1 - e) / (1 + e) with e = exp(-2 |x|), whose error of 2^-50 is one of 2^-42 in 1 - e where |x| >= 2^-9. Below that
// x - x^3 / 3, as x * (1 - x^2 / 3), whose first omitted term is 2 / 15 * x^5, less than 2^-38 of x. Both are
// computed, so that loops over it have no branch.
float Tanh(float x) {
  const double value = static_cast<double>(x);
  const double magnitude = std::fabs(value);
  const double e = kernels::ExpOfNegative(-2 * magnitude);
  const double far = std::copysign((1 - e) / (1 + e), value);
  const double near = value * (1 - value * value / 3);
  const double tanh = magnitude < 0x1p-9 ? near : far;
  return std::isnan(x) ? x : static_cast<float>(tanh);
}

void SoftCapRow(float cap, float* logits, size_t count) {
  if (cap == 0) return;
  for (size_t i = 0; i < count; ++i) logits[i] = SoftCap(logits[i], cap);
}

}  // namespace tied::runtime
