// Arm with NEON and fused multiply-add: every AArch64 CPU, and ARMv7 with VFPv4.
#include <arm_neon.h>
#include <cpuinfo.h>

#include "kernels/dot_f32.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

struct Neon {
  using Vec = float32x4_t;
  static constexpr size_t kWidth = 4;
#if defined(__aarch64__)
  // 4 x 3 sums of two registers each, four rows and one hidden vector: 29 of 32 registers.
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 3;
#else
  // 4 x 1 sums of two registers each, four rows and one hidden vector: 13 of 16 registers. One token also makes the
  // packed layout that of the scalar set, which DotKeepingSubnormals needs.
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 1;
#endif

  static Vec Zero() { return vdupq_n_f32(0.0f); }
  static Vec Load(const float* p) { return vld1q_f32(p); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
  static float Sum(const Vec (&lanes)[2]) {
    const float32x4_t four = vaddq_f32(lanes[0], lanes[1]);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(vpadd_f32(two, two), 0);
  }
};

#if defined(__aarch64__)

bool Available() { return true; }
constexpr auto kDot = DotF32<Neon>::Dot;

#else

bool Available() { return cpuinfo_has_arm_neon_fma(); }

// ARMv7's NEON always flushes subnormal numbers to zero, and says so in the cumulative flags of FPSCR: input
// subnormal (IDC, bit 7) and underflow (UFC, bit 3), Arm ARM DDI 0406C, A2.7. Where neither is set no flush took
// place and the result is exact to the definition; else the rows are computed again without NEON.
void DotKeepingSubnormals(const float* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                          float* logits, size_t logits_stride) {
  constexpr unsigned kFlushed = (1u << 7) | (1u << 3);
  // The asm statements are fences: no floating-point instruction may move across the reads of the flags.
  unsigned flags;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  __asm__ volatile("vmsr fpscr, %0" ::"r"(flags & ~kFlushed) : "memory");
  DotF32<Neon>::Dot(rows, row_count, cols, packed, tokens, logits, logits_stride);
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  if (flags & kFlushed) DotF32Scalar(rows, row_count, cols, packed, tokens, logits, logits_stride);
}
constexpr auto kDot = DotKeepingSubnormals;

#endif

}  // namespace

const Kernels kNeon = {"neon", Available, DotF32<Neon>::Pack, kDot, /*xnnpack_min_tokens=*/16};

}  // namespace tied::kernels
