// AArch64 with the dot-product instructions: four products of signed bytes a lane.
#include <cpuinfo.h>

#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/neon.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

// Rows of bytes, steps as halves. Unsigned weights are made signed by taking 128 away.
struct DotprodInt {
  using Weights = int8x16_t;
  struct Steps {
    int8x16_t upper, lower;
  };
  struct Sum {
    int32x4_t upper, lower;
  };
  static constexpr size_t kWidth = 16;
  static constexpr size_t kParts = 1;
  // 2 x 4 tiles of two sums each, two rows and two vectors of steps: 20 of 32 registers.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 4;
  // A lane takes four products of 16 columns, each at most 128 * 128.
  static constexpr size_t kMaxCols = size_t{1} << 18;
  static_assert(kMaxCols / kWidth * 4 * 128 * 128 - 1 <= INT32_MAX);

  static Sum Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Weights LoadWeights(const int8_t* p) { return vld1q_s8(p); }
  static Weights LoadWeights(const uint8_t* p) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128))); }
  static Steps LoadSteps(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int8_t*>(p);
    return {vld1q_s8(q), vld1q_s8(q + kWidth)};
  }
  static void Add(Weights w, const Steps& q, Sum& sum) {
    sum.upper = vdotq_s32(sum.upper, w, q.upper);
    sum.lower = vdotq_s32(sum.lower, w, q.lower);
  }
  static double Total(const Sum& sum) { return 256 * AddAll(sum.upper) + AddAll(sum.lower); }
  static double Excess(const int8_t*) { return 0; }
  static double Excess(const uint8_t*) { return -128; }
};

// Four-bit rows, as bytes in the order of the columns.
struct DotprodNibbles : NeonNibbleSums {
  using Weights = int8x16x2_t;
  static constexpr size_t kStepBytes = 64;

  static Weights LoadWeights(const uint8_t* p) {
    const int8x16x2_t split = Split(p);
    return vzipq_s8(split.val[0], split.val[1]);
  }
  static int32x4_t Part(int8x16_t w, const int8_t* upper, const int8_t* lower) {
    const int32x4_t high = vdotq_s32(vdupq_n_s32(0), w, vld1q_s8(upper));
    const int32x4_t low = vdotq_s32(vdupq_n_s32(0), w, vld1q_s8(lower));
    return vaddq_s32(vshlq_n_s32(high, 8), low);
  }
  static void Add(const Weights& w, const uint8_t* packed, float scale, Sum& sum) {
    const auto* q = reinterpret_cast<const int8_t*>(packed);
    NeonNibbleSums::Add(Part(w.val[0], q, q + 32), Part(w.val[1], q + 16, q + 48), scale, sum);
  }
};

bool Available() { return cpuinfo_has_arm_neon_dot(); }

}  // namespace

const Kernels kNeonDot = {"neondot",
                          Available,
                          PackGroups<NeonFloat>,
                          DotFloat<NeonFloat, float>::Dot,
                          DotFloat<NeonFloat, Half>::Dot,
                          DotFloat<NeonFloat, BFloat16>::Dot,
                          PackStepsAsHalves<DotprodInt::kWidth>,
                          DotInt<DotprodInt, int8_t>::Dot,
                          DotInt<DotprodInt, uint8_t>::Dot,
                          PackStepsAsHalves<kBlockCols>,
                          DotNibbles<DotprodNibbles>::Dot,
                          /*xnnpack_min_tokens=*/16};

}  // namespace tied::kernels
