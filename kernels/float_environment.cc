#include "kernels/float_environment.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace tied::kernels {

ScopedFloatEnvironment::ScopedFloatEnvironment() {
  std::fegetenv(&saved_);
  std::fesetenv(FE_DFL_ENV);
#if defined(__SSE__)
  // Not every C library's default environment clears flush-to-zero and denormals-are-zero; 0x1F80 does.
  _mm_setcsr(0x1F80);
#endif
}

ScopedFloatEnvironment::~ScopedFloatEnvironment() { std::fesetenv(&saved_); }

}  // namespace tied::kernels
