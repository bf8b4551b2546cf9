// The floating-point modes that the definition of every result assumes.
#ifndef TIED_KERNELS_FLOAT_ENVIRONMENT_H_
#define TIED_KERNELS_FLOAT_ENVIRONMENT_H_

#include <cfenv>

namespace tied::kernels {

// Makes the thread round to nearest and keep subnormal numbers, whatever its caller has set (a program linked with
// -ffast-math starts its threads with flush-to-zero). The destructor restores modes and exception flags.
class ScopedFloatEnvironment {
 public:
  ScopedFloatEnvironment();
  ~ScopedFloatEnvironment();
  ScopedFloatEnvironment(const ScopedFloatEnvironment&) = delete;
  ScopedFloatEnvironment& operator=(const ScopedFloatEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  using Environment = unsigned;  // MXCSR: there is no x87 arithmetic, whose modes take as long to set as a row to read
#else
  using Environment = std::fenv_t;
#endif
  Environment saved_;
};

}  // namespace tied::kernels

#endif  // TIED_KERNELS_FLOAT_ENVIRONMENT_H_
