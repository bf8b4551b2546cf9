// Arm with NEON and fused multiply-add: every AArch64 CPU, and ARMv7 with VFPv4.
#include "kernels/neon.h"

#include <cpuinfo.h>

#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

#if defined(__aarch64__)

bool Available() { return true; }

template <class Element, DotFloats*>
constexpr DotFloats* kDot = DotFloat<NeonFloat, Element>::Dot;

#else

bool Available() { return cpuinfo_has_arm_neon_fma(); }

// ARMv7's NEON always flushes subnormal numbers to zero, and says so in the cumulative flags of FPSCR: input
// subnormal (IDC, bit 7) and underflow (UFC, bit 3), Arm ARM DDI 0406C, A2.7. Where neither is set no flush took
// place and the result is exact to the definition; else the rows are computed again without NEON.
template <class Element, DotFloats* scalar>
void KeepingSubnormals(const void* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                       float* logits, size_t logits_stride) {
  constexpr unsigned kFlushed = (1u << 7) | (1u << 3);
  // The asm statements are fences: no floating-point instruction may move across the reads of the flags.
  unsigned flags;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  __asm__ volatile("vmsr fpscr, %0" ::"r"(flags & ~kFlushed) : "memory");
  DotFloat<NeonFloat, Element>::Dot(rows, row_count, cols, packed, tokens, logits, logits_stride);
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  if (flags & kFlushed) scalar(rows, row_count, cols, packed, tokens, logits, logits_stride);
}

template <class Element, DotFloats* scalar>
constexpr DotFloats* kDot = KeepingSubnormals<Element, scalar>;

#endif

}  // namespace

const Kernels kNeon = {"neon",
                       Available,
                       PackGroups<NeonFloat>,
                       kDot<float, DotF32Scalar>,
                       kDot<Half, DotF16Scalar>,
                       kDot<BFloat16, DotBF16Scalar>,
                       PackStepsAsWords,
                       DotInt<NeonInt, int8_t>::Dot,
                       DotInt<NeonInt, uint8_t>::Dot,
                       PackStepsEvenOdd,
                       DotBlocksOf<NeonBlocks, NibblePair>,
                       DotBlocksOf<NeonBlocks, int8_t>,
                       DotBlocksOf<NeonBlocks, uint8_t>,
                       /*xnnpack_min_tokens=*/16,
                       /*xnnpack_min_tokens_widened=*/kNeverXnnpack};

}  // namespace tied::kernels
