#include "kernels/activations.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tied::kernels {

ActivationScale QuantiseHidden(const float* x, size_t cols, int16_t* q) {
  float largest = 0.0f;
  bool finite = true;
  for (size_t k = 0; k < cols; ++k) {
    largest = std::max(largest, std::fabs(x[k]));
    finite &= std::fabs(x[k]) <= std::numeric_limits<float>::max();
  }
  if (!finite || largest == 0.0f) {
    std::fill_n(q, cols, int16_t{0});
    return {finite ? 0.0 : std::numeric_limits<double>::quiet_NaN(), 0.0};
  }
  const double scale = static_cast<double>(largest) / kMaxActivation;
  int64_t total = 0;
  for (size_t k = 0; k < cols; ++k) {
    // Adding and subtracting 1.5 * 2^52 rounds to an integer, ties to even (float_environment.h sets the mode).
    constexpr double kRound = 0x1.8p52;
    const double rounded = (static_cast<double>(x[k]) / scale + kRound) - kRound;
    q[k] = static_cast<int16_t>(rounded);
    total += q[k];
  }
  return {scale, static_cast<double>(total)};
}

}  // namespace tied::kernels
