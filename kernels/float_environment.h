// The floating-point modes that every result is defined in.
#ifndef TIED_KERNELS_FLOAT_ENVIRONMENT_H_
#define TIED_KERNELS_FLOAT_ENVIRONMENT_H_

#include <cfenv>

namespace tied::kernels {

// While it lives, the thread rounds to nearest and keeps subnormal numbers, whatever its caller has set (a program
// linked with -ffast-math starts its threads with flush-to-zero). Restores modes and exception flags at the end.
class ScopedFloatEnvironment {
 public:
  ScopedFloatEnvironment();
  ~ScopedFloatEnvironment();
  ScopedFloatEnvironment(const ScopedFloatEnvironment&) = delete;
  ScopedFloatEnvironment& operator=(const ScopedFloatEnvironment&) = delete;

 private:
  std::fenv_t saved_;
};

}  // namespace tied::kernels

#endif  // TIED_KERNELS_FLOAT_ENVIRONMENT_H_
