// Vector operations for the loops of dot_blocks.h, on Arm with NEON and fused multiply-add: four blocks. In an unnamed
// namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_NEON_BLOCKS_H_
#define TIED_KERNELS_NEON_BLOCKS_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/dot_blocks.h"
#include "kernels/neon.h"

namespace tied::kernels {
namespace {

// Arithmetic on four floats. On ARMv7 it flushes subnormal numbers, see neon.cc.
struct NeonArithmetic {
  static float32x4_t Add(float32x4_t a, float32x4_t b) { return vaddq_f32(a, b); }
  static float32x4_t MulAdd(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmaq_f32(c, a, b); }
};

inline int8x16_t LoadPlane(const uint8_t* p, uint8_t flip) {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(flip)));
}

// What does not depend on how integers are multiplied. A quarter of a group is one of its blocks.
template <class Arithmetic, class Stored>
struct NeonBlockFloats {
  static constexpr size_t kGroupBlocks = 4;
  using Vec = float32x4_t;
  struct Blocks {
    const uint8_t* values;
    uint8_t flip;
    size_t bytes;  // of the group
  };
  struct Sum {
    int32x4_t all, third;
  };

  static constexpr size_t BlockAt(size_t lane) { return lane; }
  static Blocks Load(const uint8_t* p, uint8_t flip) { return {p, flip, kGroupBlocks * Stored::kBlockBytes}; }
  static Blocks LoadTail(const uint8_t* p, uint8_t flip, size_t bytes) { return {p, flip, bytes}; }
  static Sum Start(const uint8_t*) { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  // Adds up the lanes of a block. Pairs are added as soon as they are there, which takes fewer registers.
  template <size_t number>
  static void AddLanes(int32x4_t block, Sum& sum) {
    if constexpr (number == 0) sum.all = block;
    if constexpr (number == 1) sum.all = AddPairs(sum.all, block);
    if constexpr (number == 2) sum.third = block;
    if constexpr (number == 3) sum.all = AddPairs(sum.all, AddPairs(sum.third, block));
  }

  static Vec Zero() { return vdupq_n_f32(0.0f); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return Arithmetic::MulAdd(a, b, c); }
  template <bool whole, class Scale>
  static Vec LoadScales(const Scale* p, size_t blocks) {
    if constexpr (whole) return NeonLoads::Load(p);
    Scale tail[kGroupBlocks];
    CopyTail(p, blocks, tail);
    return NeonLoads::Load(tail);
  }
  template <bool whole>
  static Vec ZeroPoints(const uint8_t* p, uint8_t flip, size_t blocks) {
    if (p == nullptr && flip == 0) return Zero();
    uint8_t bytes[8] = {};
    if (p != nullptr) std::memcpy(bytes, p, whole || blocks > kGroupBlocks ? kGroupBlocks : blocks);
    constexpr uint8_t kMiddle = 128;
    const uint8x8_t flips = vdup_n_u8(Stored::kCentre != 0 ? kMiddle : flip);
    const int32x4_t zeros = vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(veor_u8(vld1_u8(bytes), flips)))));
    // Sixteenths, for nibbles.
    return Stored::kCentre != 0 ? vcvtq_n_f32_s32(zeros, 4) : vcvtq_f32_s32(zeros);
  }
  // Never subnormal.
  static Vec SubtractProduct(Vec values, Vec zero_points, const float* totals) {
    return vfmsq_f32(values, zero_points, vld1q_f32(totals));
  }
  static float Total(const Vec (&sums)[4]) {
    const Vec four = Arithmetic::Add(Arithmetic::Add(sums[0], sums[2]), Arithmetic::Add(sums[1], sums[3]));
    const Vec two = Arithmetic::Add(four, vcombine_f32(vget_high_f32(four), vget_high_f32(four)));
    return vgetq_lane_f32(Arithmetic::Add(two, vdupq_lane_f32(vget_low_f32(two), 1)), 0);
  }

 protected:
  // Block `number` of a group, of which perhaps only a part is there.
  template <size_t number, class Unpack>
  static inline __attribute__((always_inline)) auto BlockOf(const Blocks& blocks, const Unpack& unpack) {
    constexpr size_t kFirst = number * Stored::kBlockBytes;
    if (blocks.bytes >= kFirst + Stored::kBlockBytes) return unpack(blocks.values + kFirst);
    uint8_t tail[Stored::kBlockBytes];
    CopyTail(blocks.values + kFirst, blocks.bytes > kFirst ? blocks.bytes - kFirst : 0, tail);
    return unpack(static_cast<const uint8_t*>(tail));
  }
};

// Weights are 16 bits wide; their products are summed in 32-bit lanes.
template <class Arithmetic, class Stored>
struct NeonBlocks : NeonBlockFloats<Arithmetic, Stored> {
  using Base = NeonBlockFloats<Arithmetic, Stored>;
  using typename Base::Blocks;
  using typename Base::Sum;
  static constexpr int kCentre = Stored::kCentre;
#if defined(__aarch64__)
  // 1 x 4 sums of four registers each and at most two of a group, one row of four: some sums are kept in memory.
  static constexpr size_t kRows = 1;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kRowsOfOneToken = 2;
#else
  static constexpr size_t kRows = 1;
  static constexpr size_t kTokens = 1;
  static constexpr size_t kRowsOfOneToken = 1;
#endif
  struct Weights {
    int16x8_t of[4];
  };
  struct Activations {
    int16x8_t of[4];
  };

  // Each block: the even and the odd bytes of both planes.
  static void PackGroup(const BlockActivations<Base::kGroupBlocks>& q, uint8_t* to) {
    for (const auto& block : q) {
      for (size_t v = 0; v < 4; ++v) {
        int16_t words[kPlaneBytes / 2];
        for (size_t i = 0; i < kPlaneBytes / 2; ++i) words[i] = block[Stored::Column(v % 2, 2 * i + v / 2)];
        std::memcpy(to, words, sizeof words);
        to += sizeof words;
      }
    }
  }
  static Weights Unpack(Nibbles, const uint8_t* p, uint8_t) {
    const uint16x8_t four = vreinterpretq_u16_u8(vld1q_u8(p)), mask = vdupq_n_u16(15);
    return {{vreinterpretq_s16_u16(vandq_u16(four, mask)), vreinterpretq_s16_u16(vandq_u16(vshrq_n_u16(four, 4), mask)),
             vreinterpretq_s16_u16(vandq_u16(vshrq_n_u16(four, 8), mask)),
             vreinterpretq_s16_u16(vshrq_n_u16(four, 12))}};
  }
  static Weights Unpack(Bytes, const uint8_t* p, uint8_t flip) {
    const int16x8_t first = vreinterpretq_s16_s8(LoadPlane(p, flip));
    const int16x8_t second = vreinterpretq_s16_s8(LoadPlane(p + kPlaneBytes, flip));
    return {{vshrq_n_s16(vshlq_n_s16(first, 8), 8), vshrq_n_s16(vshlq_n_s16(second, 8), 8), vshrq_n_s16(first, 8),
             vshrq_n_s16(second, 8)}};
  }
  template <size_t number>
  static Weights Quarter(const Blocks& blocks) {
    return Base::template BlockOf<number>(
        blocks, [&](const uint8_t* p) __attribute__((always_inline)) { return Unpack(Stored(), p, blocks.flip); });
  }
  static Activations LoadActivations(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int16_t*>(p);
    return {{vld1q_s16(q), vld1q_s16(q + 8), vld1q_s16(q + 16), vld1q_s16(q + 24)}};
  }
  template <size_t number>
  static void Add(const Weights& w, const Activations& q, Sum& sum) {
    int32x4_t low = vmull_s16(vget_low_s16(w.of[0]), vget_low_s16(q.of[0]));
    int32x4_t high = vmull_s16(vget_high_s16(w.of[0]), vget_high_s16(q.of[0]));
    TIED_UNROLL for (size_t i = 1; i < 4; ++i) {
      low = vmlal_s16(low, vget_low_s16(w.of[i]), vget_low_s16(q.of[i]));
      high = vmlal_s16(high, vget_high_s16(w.of[i]), vget_high_s16(q.of[i]));
    }
    Base::template AddLanes<number>(vaddq_s32(low, high), sum);
  }
  static float32x4_t Values(const Sum& sum, const uint8_t* starts) {
    return vcvtq_f32_s32(vaddq_s32(sum.all, vld1q_s32(reinterpret_cast<const int32_t*>(starts))));
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_NEON_BLOCKS_H_
