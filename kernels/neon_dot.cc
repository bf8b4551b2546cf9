// AArch64 with the dot-product instructions, which add four products of signed bytes to each lane.

#include "kernels/cpu.h"
#include "kernels/dot_int.h"
#include "kernels/neon.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

// Rows of bytes, activations split into upper and lower bytes. Unsigned weights are made signed by subtracting 128.
struct DotprodInt {
  using Weights = int8x16_t;
  struct Activations {
    int8x16_t upper, lower;
  };
  struct Sum {
    int32x4_t upper, lower;
  };
  static constexpr size_t kWidth = 16;
  static constexpr PackActivations* kPack = PackAsSplitBytes<kWidth>;
  static constexpr size_t kParts = 1;
  // 2 x 4 tiles of two sums each, two rows and two vectors of activations: 20 of 32 registers.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  // A lane adds four products for every 16 columns, each at most 128 * 128.
  static constexpr size_t kMaxCols = size_t{1} << 18;
  static_assert(kMaxCols / kWidth * 4 * 128 * 128 - 1 <= INT32_MAX);

  static Sum Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Weights LoadWeights(const int8_t* p) { return vld1q_s8(p); }
  static Weights LoadWeights(const uint8_t* p) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128))); }
  static Activations LoadActivations(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int8_t*>(p);
    return {vld1q_s8(q), vld1q_s8(q + kWidth)};
  }
  static void Add(Weights w, const Activations& q, Sum& sum) {
    sum.upper = vdotq_s32(sum.upper, w, q.upper);
    sum.lower = vdotq_s32(sum.lower, w, q.lower);
  }
  static double Total(const Sum& sum) { return 256 * AddAll(sum.upper) + AddAll(sum.lower); }
  static double Excess(const int8_t*) { return 0; }
  static double Excess(const uint8_t*) { return -128; }
};

// Rows in blocks, as signed bytes in column order. A block of packed activations holds 32 upper bytes, 32 lower bytes,
// and for each lane the sum of its four activations.
struct DotprodBlocks : NeonBlockSums {
  // Weights minus their zero point.
  struct Nibbles {
    int8x16_t low, high;
  };
  // Weights from which Add() subtracts zero_point, by means of the sums of the activations.
  struct Bytes {
    int8x16_t low, high;
    int32_t zero_point;
  };
  static constexpr size_t kActivationBlockBytes = 96;

  static void Pack(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
    auto* to = static_cast<int8_t*>(packed);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t first = 0; first < PaddedCols(cols); first += kBlockCols, to += kActivationBlockBytes) {
        int32_t sums[kLanes] = {};
        for (size_t k = 0; k < kBlockCols; ++k) {
          const int q = first + k < cols ? activations[t * cols + first + k] : 0;
          SplitActivation(q, to + k, to + kBlockCols + k);
          sums[k / 4] += q;
        }
        std::memcpy(to + 2 * kBlockCols, sums, sizeof sums);
      }
    }
  }

  static constexpr PackActivations* kPack = Pack;

  static Nibbles LoadWeights(const NibblePair* p, uint8_t, int zero_point) {
    const uint8x16x2_t split = Split(p), order = vzipq_u8(split.val[0], split.val[1]);
    const int8x16_t zero = vdupq_n_s8(static_cast<int8_t>(zero_point));
    return {vsubq_s8(vreinterpretq_s8_u8(order.val[0]), zero), vsubq_s8(vreinterpretq_s8_u8(order.val[1]), zero)};
  }
  // Converting to signed subtracts 128 from the weights and from the zero point.
  static Bytes LoadWeights(const uint8_t* p, uint8_t flip, int zero_point) {
    const uint8x16_t bits = vdupq_n_u8(flip ^ 128);
    return {vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), bits)), vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p + 16), bits)),
            zero_point - 128};
  }

  // start + sum of w * (256 * upper + lower), four columns per lane.
  static int32x4_t Part(int32x4_t start, int8x16_t w, const int8_t* upper, const int8_t* lower) {
    const int32x4_t high = vdotq_s32(vdupq_n_s32(0), w, vld1q_s8(upper));
    return vdotq_s32(vaddq_s32(start, vshlq_n_s32(high, 8)), w, vld1q_s8(lower));
  }
  static void Add(const Nibbles& w, const uint8_t* packed, float scale, Sum& sum) {
    const auto* q = reinterpret_cast<const int8_t*>(packed);
    const int32x4_t start = vdupq_n_s32(0);
    AddScaled(Part(start, w.low, q, q + 32), Part(start, w.high, q + 16, q + 48), scale, sum);
  }
  static void Add(const Bytes& w, const uint8_t* packed, float scale, Sum& sum) {
    const auto* q = reinterpret_cast<const int8_t*>(packed);
    const auto* sums = reinterpret_cast<const int32_t*>(packed + 2 * kBlockCols);
    const int32x4_t low = vmulq_n_s32(vld1q_s32(sums), -w.zero_point);
    const int32x4_t high = vmulq_n_s32(vld1q_s32(sums + 4), -w.zero_point);
    AddScaled(Part(low, w.low, q, q + 32), Part(high, w.high, q + 16, q + 48), scale, sum);
  }
};

struct DotprodNibbleProducts {
  static int32x4_t Add(int8x16_t even, int8x16_t even_q, int8x16_t odd, int8x16_t odd_q, int32x4_t sum) {
    return vdotq_s32(vdotq_s32(sum, even, even_q), odd, odd_q);
  }
};
using DotprodNibbles = NibblesOf<DotprodNibbleProducts>;

bool Available() { return HasNeonDot(); }

}  // namespace

const Kernels kNeonDot = {"neondot",
                          Available,
                          &kNeonFloats,
                          &kByteKernels<DotprodInt>,
                          &kBlockKernels<DotprodBlocks>,
                          &kNibbleKernels<DotprodNibbles>,
                          {/*float32=*/16, /*widened=*/kNeverXnnpack}};

}  // namespace tied::kernels
