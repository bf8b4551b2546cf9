// Vector operations for the loops of dot_float.h and dot_int.h, on Arm with NEON and fused multiply-add.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_NEON_H_
#define TIED_KERNELS_NEON_H_

#include <arm_neon.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/dot_int.h"
#include "kernels/dot_nibble.h"
#include "kernels/float_formats.h"
#include "kernels/kernels.h"

namespace tied::kernels {
namespace {

// Adds four lanes in the order that scalar.cc defines.
inline float SumLanes(float32x4_t four) {
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(vpadd_f32(two, two), 0);
}
inline float SumLanes(float32x4_t low, float32x4_t high) { return SumLanes(vaddq_f32(low, high)); }

inline int32x4_t AddPairs(int32x4_t a, int32x4_t b) {
#if defined(__aarch64__)
  return vpaddq_s32(a, b);
#else
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
#endif
}

inline double AddAll(int32x4_t lanes) {
  const int64x2_t two = vpaddlq_s32(lanes);
  return static_cast<double>(vgetq_lane_s64(two, 0) + vgetq_lane_s64(two, 1));
}

// Tokens in a tile of integer products: as many as fit in the registers.
#if defined(__aarch64__)
inline constexpr size_t kIntTokens = 4;
#else
inline constexpr size_t kIntTokens = 1;
#endif

// Four numbers as float32.
struct NeonLoads {
  using Vec = float32x4_t;
  static Vec Load(const float* p) { return vld1q_f32(p); }
  static Vec Load(const Half* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(p))));
  }
  static Vec Load(const BFloat16* p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(reinterpret_cast<const uint16_t*>(p)), 16));
  }
};

template <size_t rows, size_t tokens, size_t parts>
struct NeonFloat : NeonLoads {
  static constexpr size_t kWidth = 4;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = tokens;
  static constexpr size_t kParts = parts;

  static Vec Zero() { return vdupq_n_f32(0.0f); }
  static Vec LoadHidden(const float* p) { return Load(p); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
  static Vec Add(Vec a, Vec b) { return vaddq_f32(a, b); }
  static float Sum(Vec lanes) { return SumLanes(lanes); }
};

// Rows of bytes, widened to 16 bits; their products are summed in 32-bit lanes.
struct NeonInt {
  static constexpr PackActivations* kPack = PackAsWords;
  struct Weights {
    int16x8_t low, high;
  };
  struct Activations {
    int16x8_t low, high;
  };
  struct Sum {
    int32x4_t low, high;
  };
  static constexpr size_t kWidth = 16;
  static constexpr size_t kParts = 1;
  static constexpr size_t kPartsOfOneRow = 1;
  static constexpr bool kPairs = false;
  static constexpr size_t kTokensOfOneRow = 0;
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = kIntTokens;
  // A lane adds two products for every 16 columns, each at most 255 * 32512.
  static constexpr size_t kMaxCols = 2048;
  static_assert(kMaxCols / kWidth * 2 * 255 * 32512 <= INT32_MAX);

  static Sum Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Weights LoadWeights(const int8_t* p) {
    const int8x16_t w = vld1q_s8(p);
    return {vmovl_s8(vget_low_s8(w)), vmovl_s8(vget_high_s8(w))};
  }
  static Weights LoadWeights(const uint8_t* p) {
    const uint8x16_t w = vld1q_u8(p);
    return {vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(w))), vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(w)))};
  }
  static Activations LoadActivations(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int16_t*>(p);
    return {vld1q_s16(q), vld1q_s16(q + 8)};
  }
  static void Add(const Weights& w, const Activations& q, Sum& sum) {
    sum.low = vmlal_s16(sum.low, vget_low_s16(w.low), vget_low_s16(q.low));
    sum.high = vmlal_s16(sum.high, vget_high_s16(w.low), vget_high_s16(q.low));
    sum.low = vmlal_s16(sum.low, vget_low_s16(w.high), vget_low_s16(q.high));
    sum.high = vmlal_s16(sum.high, vget_high_s16(w.high), vget_high_s16(q.high));
  }
  static double Total(const Sum& sum) { return AddAll(sum.low) + AddAll(sum.high); }
  static double Excess(const void*) { return 0; }
};

// For ColumnSums() of screen_bounds.h.
struct NeonColumns {
  static int32x2_t Products(const int8_t* row, const int16x8_t (&q)[2]) {
    const int8x16_t values = vld1q_s8(row);
    const int16x8_t low = vmovl_s8(vget_low_s8(values)), high = vmovl_s8(vget_high_s8(values));
    int32x4_t sum = vmull_s16(vget_low_s16(low), vget_low_s16(q[0]));
    sum = vmlal_s16(sum, vget_high_s16(low), vget_high_s16(q[0]));
    sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(q[1]));
    sum = vmlal_s16(sum, vget_high_s16(high), vget_high_s16(q[1]));
    return vadd_s32(vget_low_s32(sum), vget_high_s32(sum));
  }
  static void FourRows(const int8_t* const (&rows)[4], const int16_t* columns, int32_t* sums) {
    const int16x8_t q[2] = {vld1q_s16(columns), vld1q_s16(columns + 8)};
    for (size_t r = 0; r < 4; r += 2) vst1_s32(sums + r, vpadd_s32(Products(rows[r], q), Products(rows[r + 1], q)));
  }
};

// Rows of nibbles without scales. AddProducts() of a derived set adds products to lanes of 32 bits.
template <class Products>
struct NibblesOf {
  using Columns = NeonColumns;
  struct Weights {
    int8x16_t even, odd;
  };
  struct Sum {
    int32x4_t upper, lower;
  };
  static constexpr size_t kWidth = 16;
  static constexpr size_t kRun = 2 * kWidth;
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 1;
  static constexpr size_t kManyRows = kRows;
  static constexpr size_t kManyRowTokens = 0;

  static Sum Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Weights Load(const NibblePair* p) {
    const uint8x16_t both = vld1q_u8(&p->both);
    return {vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15))), vreinterpretq_s8_u8(vshrq_n_u8(both, 4))};
  }
  template <size_t R>
  static void Add(const Weights (&w)[R], const int8_t* q, Sum* sums) {
    const int8x16_t even = vld1q_s8(q), odd = vld1q_s8(q + kWidth);
    const int8x16_t low_even = vld1q_s8(q + 2 * kWidth), low_odd = vld1q_s8(q + 3 * kWidth);
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      sums[r].upper = Products::Add(w[r].even, even, w[r].odd, odd, sums[r].upper);
      sums[r].lower = Products::Add(w[r].even, low_even, w[r].odd, low_odd, sums[r].lower);
    }
  }
  static int8x16_t Spreads(int8x16_t nibbles) {
    const uint8x16_t spreads = vld1q_u8(kSpreads), index = vreinterpretq_u8_s8(nibbles);
#if defined(__aarch64__)
    return vreinterpretq_s8_u8(vqtbl1q_u8(spreads, index));
#else
    const uint8x8x2_t table = {{vget_low_u8(spreads), vget_high_u8(spreads)}};
    return vreinterpretq_s8_u8(vcombine_u8(vtbl2_u8(table, vget_low_u8(index)), vtbl2_u8(table, vget_high_u8(index))));
#endif
  }
  template <size_t R>
  static void AddSpreads(const Weights (&w)[R], const int8_t* mask, Sum* sums) {
    const int8x16_t even = vld1q_s8(mask + 2 * kWidth), odd = vld1q_s8(mask + 3 * kWidth);
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      sums[r].lower = Products::Add(Spreads(w[r].even), even, Spreads(w[r].odd), odd, sums[r].lower);
    }
  }
  template <size_t, size_t count>
  static void Totals(const Sum (&sums)[count], uint32_t* totals) {
    TIED_UNROLL for (size_t i = 0; i < count; ++i) {
      const int32x4_t lanes = vaddq_s32(vshlq_n_s32(sums[i].upper, 8), sums[i].lower);
      const int32x2_t two = vadd_s32(vget_low_s32(lanes), vget_high_s32(lanes));
      totals[i] = static_cast<uint32_t>(vget_lane_s32(vpadd_s32(two, two), 0));
    }
  }
};

// Each 16-bit lane adds four products of at most 15 * 128.
struct NeonNibbleProducts {
  static int32x4_t Add(int8x16_t even, int8x16_t even_q, int8x16_t odd, int8x16_t odd_q, int32x4_t sum) {
    int16x8_t products = vmull_s8(vget_low_s8(even), vget_low_s8(even_q));
    products = vmlal_s8(products, vget_high_s8(even), vget_high_s8(even_q));
    products = vmlal_s8(products, vget_low_s8(odd), vget_low_s8(odd_q));
    products = vmlal_s8(products, vget_high_s8(odd), vget_high_s8(odd_q));
    return vpadalq_s16(sum, products);
  }
};
using NeonNibbles = NibblesOf<NeonNibbleProducts>;

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_NEON_H_
