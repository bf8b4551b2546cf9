// Arm with NEON and fused multiply-add: every AArch64 CPU, and ARMv7 with VFPv4.
#include "kernels/neon.h"

#include "kernels/cpu.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

#if defined(__aarch64__)

// One row times up to three tokens, all lanes: 24 sums, a row and a hidden vector.
using FewTokens = NeonFloat<1, 3, 8>;
// 4 x 3 sums of two registers each, four rows and one hidden vector: 29 of 32 registers.
using ManyTokens = NeonFloat<4, 3, 2>;

bool Available() { return true; }

constexpr FloatKernels kFloats = kFloatKernels<FewTokens, ManyTokens>;

#else

// One row times one token, all lanes: 8 sums, a row and a hidden vector, 10 of 16 registers. One token also makes the
// packed layout the same as in the scalar set, which KeepingSubnormals() needs.
using OneToken = NeonFloat<1, 1, 8>;
constexpr FloatKernels kFlushing = kFloatKernels<OneToken, OneToken>;

bool Available() { return HasNeonFma(); }

// ARMv7's NEON always flushes subnormal numbers to zero, and then sets a cumulative flag in FPSCR: input subnormal
// (IDC, bit 7) or underflow (UFC, bit 3), Arm ARM DDI 0406C, A2.7. If neither is set, nothing was flushed and the bits
// are those that scalar.cc defines; otherwise the rows are computed again without NEON.
template <class Element, DotFloats<Element>* FloatKernels::*dot>
void KeepingSubnormals(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                       float* logits, size_t logits_stride) {
  constexpr unsigned kFlushed = (1u << 7) | (1u << 3);
  // The asm statements are fences: no floating-point instruction may move across the reads of the flags.
  unsigned flags;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  __asm__ volatile("vmsr fpscr, %0" ::"r"(flags & ~kFlushed) : "memory");
  (kFlushing.*dot)(rows, row_count, cols, packed, tokens, logits, logits_stride);
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  if (flags & kFlushed) (kScalarFloats.*dot)(rows, row_count, cols, packed, tokens, logits, logits_stride);
}

constexpr FloatKernels kFloats = {kFlushing.pack, KeepingSubnormals<float, &FloatKernels::f32>,
                                  KeepingSubnormals<Half, &FloatKernels::f16>,
                                  KeepingSubnormals<BFloat16, &FloatKernels::bf16>};

#endif

}  // namespace

const FloatKernels kNeonFloats = kFloats;
const Kernels kNeon = {"neon",
                       Available,
                       &kNeonFloats,
                       &kByteKernels<NeonInt>,
                       &kScalarBlocks,
                       &kNibbleKernels<NeonNibbles>,
                       {/*float32=*/16, /*widened=*/kNeverXnnpack}};

}  // namespace tied::kernels
