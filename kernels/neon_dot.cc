// AArch64 with the dot-product instructions, which add four products of signed bytes to each lane.

#include "kernels/cpu.h"
#include "kernels/dot_int.h"
#include "kernels/exponentials.h"
#include "kernels/neon.h"
#include "kernels/neon_blocks.h"
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
  static constexpr size_t kPartsOfOneRow = 1;
  static constexpr bool kPairs = false;
  static constexpr size_t kTokensOfOneRow = 0;
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

struct DotprodNibbleProducts {
  static int32x4_t Add(int8x16_t even, int8x16_t even_q, int8x16_t odd, int8x16_t odd_q, int32x4_t sum) {
    return vdotq_s32(vdotq_s32(sum, even, even_q), odd, odd_q);
  }
};
using DotprodNibbles = NibblesOf<DotprodNibbleProducts>;

// One register for each plane of a block, activations split into upper and lower bytes. The weights of nibbles are 16
// times the centred integers, which saves an instruction.
template <class Stored>
struct DotprodBlocks : NeonBlockFloats<NeonArithmetic, Stored> {
  using Base = NeonBlockFloats<NeonArithmetic, Stored>;
  using typename Base::Blocks;
  using typename Base::Sum;
  // Centred when loaded.
  static constexpr int kCentre = 0;
  // 2 x 2 sums of four registers each and at most two of a group, two rows of two registers, four of activations.
  static constexpr size_t kRows = 2;
  static constexpr size_t kTokens = 2;
  static constexpr size_t kRowsOfOneToken = 2;
  struct Weights {
    int8x16_t planes[kPlanes];
  };
  struct Activations {
    int8x16_t upper[kPlanes], lower[kPlanes];
  };

  static void PackGroup(const BlockActivations<Base::kGroupBlocks>& q, uint8_t* to) {
    for (const auto& block : q) {
      for (size_t i = 0; i < kPlanes * kPlaneBytes; ++i) {
        auto* upper = reinterpret_cast<int8_t*>(to + i);
        SplitActivation(block[Stored::Column(i / kPlaneBytes, i % kPlaneBytes)], upper, upper + kPlanes * kPlaneBytes);
      }
      to += 2 * kBlockCols;
    }
  }
  static Weights Unpack(Nibbles, const uint8_t* p, uint8_t) {
    const uint8x16_t centred = veorq_u8(vld1q_u8(p), vdupq_n_u8(0x88));
    return {{vreinterpretq_s8_u8(vshlq_n_u8(centred, 4)), vreinterpretq_s8_u8(vandq_u8(centred, vdupq_n_u8(0xf0)))}};
  }
  static Weights Unpack(Bytes, const uint8_t* p, uint8_t flip) {
    return {{LoadPlane(p, flip), LoadPlane(p + kPlaneBytes, flip)}};
  }
  template <size_t number>
  static Weights Quarter(const Blocks& blocks) {
    return Base::template BlockOf<number>(
        blocks, [&](const uint8_t* p) __attribute__((always_inline)) { return Unpack(Stored(), p, blocks.flip); });
  }
  static Activations LoadActivations(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int8_t*>(p);
    return {{vld1q_s8(q), vld1q_s8(q + 16)}, {vld1q_s8(q + 32), vld1q_s8(q + 48)}};
  }
  template <size_t number>
  static void Add(const Weights& w, const Activations& q, Sum& sums) {
    int32x4_t sum = vdupq_n_s32(0);
    TIED_UNROLL for (size_t i = 0; i < kPlanes; ++i) sum = vdotq_s32(sum, w.planes[i], q.upper[i]);
    sum = vshlq_n_s32(sum, 8);
    TIED_UNROLL for (size_t i = 0; i < kPlanes; ++i) sum = vdotq_s32(sum, w.planes[i], q.lower[i]);
    Base::template AddLanes<number>(sum, sums);
  }
  static float32x4_t Values(const Sum& sum, const uint8_t*) {
    return Stored::kCentre != 0 ? vcvtq_n_f32_s32(sum.all, 4) : vcvtq_f32_s32(sum.all);
  }
};

bool Available() { return HasNeonDot(); }

}  // namespace

const BlockKernels kNeonDotBlocks = kBlockKernels<DotprodBlocks>;
const Kernels kNeonDot = {"neondot",       Available,
                          &kNeonFloats,    &kByteKernels<DotprodInt>,
                          &kNeonDotBlocks, &kNibbleKernels<DotprodNibbles>,
                          ExpsOfNegatives, {/*float32=*/16, /*widened=*/kNeverXnnpack}};

}  // namespace tied::kernels
