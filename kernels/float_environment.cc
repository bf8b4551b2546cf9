#include "kernels/float_environment.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace tied::kernels {

#if defined(__x86_64__)

ScopedFloatEnvironment::ScopedFloatEnvironment() : saved_(_mm_getcsr()) {
  // To nearest, subnormal numbers kept, no exception raised.
  _mm_setcsr(0x1F80);
}

ScopedFloatEnvironment::~ScopedFloatEnvironment() { _mm_setcsr(saved_); }

#else

ScopedFloatEnvironment::ScopedFloatEnvironment() {
  std::fegetenv(&saved_);
  std::fesetenv(FE_DFL_ENV);
}

ScopedFloatEnvironment::~ScopedFloatEnvironment() { std::fesetenv(&saved_); }

#endif

}  // namespace tied::kernels
