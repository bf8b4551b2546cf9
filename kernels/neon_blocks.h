// Vector operations for the loops of dot_blocks.h, on Arm with NEON and fused multiply-add: one block. In an unnamed
// namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_NEON_BLOCKS_H_
#define TIED_KERNELS_NEON_BLOCKS_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/dot_blocks.h"
#include "kernels/neon.h"

namespace tied::kernels {
namespace {

// Arithmetic on four floats. On ARMv7 it flushes subnormal numbers, see neon.cc.
struct NeonArithmetic {
  static float32x4_t Add(float32x4_t a, float32x4_t b) { return vaddq_f32(a, b); }
  static float32x4_t Mul(float32x4_t a, float32x4_t b) { return vmulq_f32(a, b); }
  static float32x4_t MulAdd(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmaq_f32(c, a, b); }
};

// What does not depend on how integers are multiplied.
template <class Arithmetic>
struct NeonBlockFloats {
  static constexpr size_t kStepBlocks = 1;
  using Vec = float32x4_t;
  using Scales = float32x4_t;

  static Vec Zero() { return vdupq_n_f32(0.0f); }
  template <bool whole, class Scale>
  static Scales LoadScales(const Scale* p, size_t blocks) {
    if constexpr (whole) return NeonLoads::Load(p);
    Scale tail[4];
    CopyTail(p, blocks, tail);
    return NeonLoads::Load(tail);
  }
  template <size_t step>
  static Vec MulAdd(Scales scales, Vec parts, Vec sum) {
    const float32x2_t half = step < 2 ? vget_low_f32(scales) : vget_high_f32(scales);
    return Arithmetic::MulAdd(vdupq_lane_f32(half, step % 2), parts, sum);
  }
  template <size_t step>
  static Vec MulAdd(Scales scales, int32x4_t parts, Vec sum) {
    return MulAdd<step>(scales, vcvtq_f32_s32(parts), sum);
  }

  // -(scale * zero point), one for each block.
  template <bool whole, class Stored>
  static Vec Offsets(Stored, Scales scales, const uint8_t* zero_points, uint8_t flip, size_t blocks) {
    uint8_t bytes[8] = {};
    if (zero_points != nullptr) CopyTail(zero_points, whole || blocks > 4 ? 4 : blocks, bytes);
    constexpr uint8_t kMiddle = 128;
    const uint8x8_t flips = vdup_n_u8(Stored::kCentre != 0 ? kMiddle : flip);
    const int32x4_t zeros = vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(veor_u8(vld1_u8(bytes), flips)))));
    // Sixteenths, for nibbles.
    const Vec floats = Stored::kCentre != 0 ? vcvtq_n_f32_s32(zeros, 4) : vcvtq_f32_s32(zeros);
    return vnegq_f32(Arithmetic::Mul(scales, floats));
  }
  static Vec AddProduct(Vec offsets, const float* totals, Vec sum) {
    return Arithmetic::MulAdd(offsets, vld1q_f32(totals), sum);
  }
  static float Total(const Vec (&sums)[4]) {
    const Vec four = Arithmetic::Add(Arithmetic::Add(sums[0], sums[2]), Arithmetic::Add(sums[1], sums[3]));
    const Vec two = Arithmetic::Add(four, vcombine_f32(vget_high_f32(four), vget_high_f32(four)));
    return vgetq_lane_f32(Arithmetic::Add(two, vdupq_lane_f32(vget_low_f32(two), 1)), 0);
  }
};

inline int8x16_t LoadPlane(const uint8_t* p, uint8_t flip) {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(flip)));
}

// The last block of a row, of which `bytes` are there. Rows of nibbles are whole blocks.
template <class Isa, class Stored>
inline __attribute__((always_inline)) typename Isa::Weights LoadLastBlock(Stored stored, const uint8_t* p, uint8_t flip,
                                                                          size_t bytes) {
  if constexpr (Stored::kBlockBytes == kPlaneBytes) return Isa::Load(stored, p, flip);
  uint8_t tail[Stored::kBlockBytes];
  CopyTail(p, bytes, tail);
  return Isa::Load(stored, tail, flip);
}

// Weights are 16 bits wide; their products are summed in 32-bit lanes, two for each part.
template <class Arithmetic>
struct NeonBlocks : NeonBlockFloats<Arithmetic> {
#if defined(__aarch64__)
  // 1 x 4 sums of four registers each, one row of four, five of activations, two products and the scales: 28 of 32
  // registers.
  static constexpr size_t kRows = 1;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kRowsOfOneToken = 2;
#else
  // One sum of four registers, one row of four, two of activations, two products and the scales: 13 of 16 registers.
  static constexpr size_t kRows = 1;
  static constexpr size_t kTokens = 1;
  static constexpr size_t kRowsOfOneToken = 1;
#endif
  struct Weights {
    int16x8_t of[4];
  };
  struct Activations {
    int16x8_t of[4];
    int32x4_t start;
  };

  template <class Stored>
  static void PackBlock(const int16_t* q, uint8_t* step, size_t block) {
    PackAsBlockWords<Stored, 1>(q, step, block);
  }

  static Weights Load(Nibbles, const uint8_t* p, uint8_t) {
    const uint16x8_t four = vreinterpretq_u16_u8(vld1q_u8(p)), mask = vdupq_n_u16(15);
    return {{vreinterpretq_s16_u16(vandq_u16(four, mask)), vreinterpretq_s16_u16(vandq_u16(vshrq_n_u16(four, 4), mask)),
             vreinterpretq_s16_u16(vandq_u16(vshrq_n_u16(four, 8), mask)),
             vreinterpretq_s16_u16(vshrq_n_u16(four, 12))}};
  }
  static Weights Load(Bytes, const uint8_t* p, uint8_t flip) {
    const int16x8_t first = vreinterpretq_s16_s8(LoadPlane(p, flip));
    const int16x8_t second = vreinterpretq_s16_s8(LoadPlane(p + kPlaneBytes, flip));
    return {{vshrq_n_s16(vshlq_n_s16(first, 8), 8), vshrq_n_s16(vshlq_n_s16(second, 8), 8), vshrq_n_s16(first, 8),
             vshrq_n_s16(second, 8)}};
  }
  template <class Stored>
  static Weights LoadTail(Stored stored, const uint8_t* p, uint8_t flip, size_t bytes) {
    return LoadLastBlock<NeonBlocks>(stored, p, flip, bytes);
  }
  static Activations LoadActivations(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int16_t*>(p);
    return {{vld1q_s16(q), vld1q_s16(q + 8), vld1q_s16(q + 16), vld1q_s16(q + 24)},
            vld1q_s32(reinterpret_cast<const int32_t*>(q + 32))};
  }
  static int32x4_t Parts(const Weights& w, const Activations& q) {
    int32x4_t low = vmull_s16(vget_low_s16(w.of[0]), vget_low_s16(q.of[0]));
    int32x4_t high = vmull_s16(vget_high_s16(w.of[0]), vget_high_s16(q.of[0]));
    TIED_UNROLL for (size_t i = 1; i < 4; ++i) {
      low = vmlal_s16(low, vget_low_s16(w.of[i]), vget_low_s16(q.of[i]));
      high = vmlal_s16(high, vget_high_s16(w.of[i]), vget_high_s16(q.of[i]));
    }
    return vaddq_s32(AddPairs(low, high), q.start);
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_NEON_BLOCKS_H_
