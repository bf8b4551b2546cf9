// Arm with NEON and fused multiply-add: every AArch64 CPU, and ARMv7 with VFPv4.
#include "kernels/neon.h"

#include <cmath>

#include "kernels/cpu.h"
#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/exponentials.h"
#include "kernels/neon_blocks.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

#if defined(__aarch64__)

// One row times up to three tokens, all lanes: 24 sums, a row and a hidden vector.
using FewTokens = NeonFloat<1, 3, 8>;
// 4 x 3 sums of two registers each, four rows and one hidden vector: 29 of 32 registers.
using ManyTokens = NeonFloat<4, 3, 2>;

bool Available() { return true; }

constexpr FloatKernels kFloats = kFloatKernels<FewTokens, FewTokens, ManyTokens>;
template <class Stored>
using Blocks = NeonBlocks<NeonArithmetic, Stored>;
constexpr BlockKernels kBlocks = kBlockKernels<Blocks>;

#else

// One row times one token, all lanes: 8 sums, a row and a hidden vector, 10 of 16 registers. One token also makes the
// packed layout the same as in the scalar set, which KeepingSubnormals() needs.
using OneToken = NeonFloat<1, 1, 8>;
constexpr FloatKernels kFlushing = kFloatKernels<OneToken, OneToken, OneToken>;

bool Available() { return HasNeonFma(); }

// ARMv7's NEON always flushes subnormal numbers to zero, and then sets a cumulative flag in FPSCR: input subnormal
// (IDC, bit 7) or underflow (UFC, bit 3), Arm ARM DDI 0406C, A2.7. If neither is set, nothing was flushed and the bits
// are those that scalar.cc defines; otherwise the rows are computed again without NEON's arithmetic.
template <class Compute>
bool Flushes(const Compute& compute) {
  constexpr unsigned kFlushed = (1u << 7) | (1u << 3);
  // The asm statements are fences: no floating-point instruction may move across the reads of the flags.
  unsigned flags;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  __asm__ volatile("vmsr fpscr, %0" ::"r"(flags & ~kFlushed) : "memory");
  compute();
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags)::"memory");
  return (flags & kFlushed) != 0;
}

template <class Element, DotFloats<Element>* FloatKernels::*dot>
void KeepingSubnormals(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                       float* logits, size_t logits_stride) {
  const auto compute = [=](const FloatKernels& set) {
    (set.*dot)(rows, row_count, cols, packed, tokens, logits, logits_stride);
  };
  if (Flushes([&] { compute(kFlushing); })) compute(kScalarFloats);
}

// The VFP keeps subnormal numbers.
struct VfpArithmetic {
  template <class Operation>
  static float32x4_t Each(float32x4_t a, float32x4_t b, float32x4_t c, const Operation& operation) {
    float x[4], y[4], z[4];
    vst1q_f32(x, a);
    vst1q_f32(y, b);
    vst1q_f32(z, c);
    for (size_t i = 0; i < 4; ++i) x[i] = operation(x[i], y[i], z[i]);
    return vld1q_f32(x);
  }
  static float32x4_t Add(float32x4_t a, float32x4_t b) {
    return Each(a, b, a, [](float x, float y, float) { return x + y; });
  }
  static float32x4_t MulAdd(float32x4_t a, float32x4_t b, float32x4_t c) {
    return Each(a, b, c, [](float x, float y, float z) { return std::fma(x, y, z); });
  }
};

template <class Stored>
using FlushingBlocks = NeonBlocks<NeonArithmetic, Stored>;
template <class Stored>
using VfpBlocks = NeonBlocks<VfpArithmetic, Stored>;

template <class Element, DotBlocks<Element>* BlockKernels::*dot>
void KeepingSubnormals(const Element* rows, const BlocksView& blocks, size_t row_count, size_t cols,
                       const ActivationsView& activations, float* sums, size_t sums_stride) {
  const auto compute = [&](const BlockKernels& set) {
    (set.*dot)(rows, blocks, row_count, cols, activations, sums, sums_stride);
  };
  if (Flushes([&] { compute(kBlockKernels<FlushingBlocks>); })) compute(kBlockKernels<VfpBlocks>);
}

constexpr FloatKernels kFloats = {kFlushing.pack, KeepingSubnormals<float, &FloatKernels::f32>,
                                  KeepingSubnormals<Half, &FloatKernels::f16>,
                                  KeepingSubnormals<BFloat16, &FloatKernels::bf16>};
constexpr BlockKernels kPacks = kBlockKernels<FlushingBlocks>;
constexpr BlockKernels kBlocks = {
    kPacks.pack_for_nibbles, kPacks.pack_for_bytes, KeepingSubnormals<NibblePair, &BlockKernels::i4>,
    KeepingSubnormals<int8_t, &BlockKernels::i8>, KeepingSubnormals<uint8_t, &BlockKernels::u8>};

#endif

}  // namespace

const FloatKernels kNeonFloats = kFloats;
const Kernels kNeon = {"neon",          Available,
                       &kNeonFloats,    &kByteKernels<NeonInt>,
                       &kBlocks,        &kNibbleKernels<NeonNibbles>,
                       ExpsOfNegatives, {/*float32=*/16, /*widened=*/kNeverXnnpack}};

}  // namespace tied::kernels
