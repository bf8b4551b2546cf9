// Sums of exponentials in float64, in plain arithmetic of a fixed order: the same bits on every CPU.
#ifndef TIED_RUNTIME_LOG_SUM_H_
#define TIED_RUNTIME_LOG_SUM_H_

#include <cstddef>

namespace tied::runtime {

// exp(x) for x <= 0, with a relative error of at most 2^-50 and an absolute one of 2^-1020. Vectorisable.
double ExpOfNegative(double x);

// exp(max) * sum, the exponentials of some logits. Nothing yet: max = -infinity.
struct LogSum {
  double max;
  double sum;

  // The logits x[0 … count).
  static LogSum Of(const float* x, size_t count);

  void Add(const LogSum& other);
};

// log of the sum of the exponentials of `count` float32 logits; |value - exact| <= bound.
struct LogZ {
  double value;
  double bound;
};

// terms: in the order in which they are to be added.
LogZ LogOfSum(const LogSum* terms, size_t term_count, size_t stride, size_t logit_count);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_LOG_SUM_H_
