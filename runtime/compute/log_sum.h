// Sums of exponentials in float64. Plain arithmetic in a fixed order gives the same bits on every CPU.
#ifndef TIED_RUNTIME_COMPUTE_LOG_SUM_H_
#define TIED_RUNTIME_COMPUTE_LOG_SUM_H_

#include <cstddef>

#include "kernels/kernels.h"

namespace tied::runtime {

// log(x) for normal x > 0, with a relative error of at most 2^-50.
double LogOfPositive(double x);

// The sum of the exponentials of some logits, as exp(max) * sum. Empty: max = -infinity. A NaN logit makes the sum NaN.
struct LogSum {
  double max;
  double sum;

  // The logits x[0 … count).
  static LogSum Of(const kernels::Kernels& kernels, const float* x, size_t count);

  void Add(const LogSum& other);

  double Log() const;
};

// log of the sum of the exponentials of `count` float32 logits; |value - exact| <= bound.
struct LogZ {
  double value;
  double bound;
};

// Adds the terms in the given order.
LogZ LogOfSum(const LogSum* terms, size_t term_count, size_t stride, size_t logit_count);

// Subtracts the token's log_z from each of its logits. log_z is the result of LogOfSum() over tiles of `tile_rows`.
void LogSoftmax(const kernels::Kernels& kernels, float* logits, size_t rows, size_t tile_rows);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_LOG_SUM_H_
