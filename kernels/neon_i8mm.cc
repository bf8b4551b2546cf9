// AArch64 with the instructions that multiply matrices of bytes (FEAT_I8MM). An operand is two rows of eight bytes. An
// instruction multiplies each row of one operand with each of another, and adds the four products to the lanes of a
// sum. Here one operand has two rows of the table, the other the upper and the lower bytes of eight activations of a
// token.

#include "kernels/cpu.h"
#include "kernels/dot_int.h"
#include "kernels/dot_nibble.h"
#include "kernels/exponentials.h"
#include "kernels/neon.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

constexpr size_t kOperand = 8;  // columns of a row in an operand

inline int32x4_t MulAdd(int8x16_t w, int8x16_t q, int32x4_t sum) { return vmmlaq_s32(sum, w, q); }
inline int32x4_t MulAdd(uint8x16_t w, int8x16_t q, int32x4_t sum) { return vusmmlaq_s32(sum, w, q); }

// Stops GCC from copying sums between registers.
inline int8x16_t KeepInRegister(int8x16_t v) {
  __asm__("" : "+w"(v));
  return v;
}

// Operands of two rows, from a vector of each.
template <class Vector>
Vector FirstHalves(Vector a, Vector b) {
  return reinterpret_cast<Vector>(vzip1q_u64(reinterpret_cast<uint64x2_t>(a), reinterpret_cast<uint64x2_t>(b)));
}
template <class Vector>
Vector SecondHalves(Vector a, Vector b) {
  return reinterpret_cast<Vector>(vzip2q_u64(reinterpret_cast<uint64x2_t>(a), reinterpret_cast<uint64x2_t>(b)));
}

// The sum of a row.
//  - Rows a and b, multiplied as a pair: the operands of first halves are added to a.first, those of second halves to
//    b.first. The lower two lanes of both sums are row a's, the upper two are row b's.
//  - A single row: its vector is an operand as it is, so that half of the products have no meaning. The lower lanes of
//    `first` have those of the first half, the upper lanes of `second` those of the second half.
struct RowSum {
  int32x4_t first, second;

  static RowSum Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  // Brings the sums of a pair into the form of single rows.
  static void Separate(RowSum& a, RowSum& b) {
    const int32x4_t of_first = a.first, of_second = b.first;
    a = {of_first, vcombine_s32(vget_low_s32(of_second), vget_low_s32(of_second))};
    b = {vcombine_s32(vget_high_s32(of_first), vget_high_s32(of_first)), of_second};
  }
  // The products with upper and with lower bytes of activations.
  int32x2_t Totals() const { return vadd_s32(vget_low_s32(first), vget_high_s32(second)); }
};

// Rows of bytes, in vectors of signed or unsigned ones.
template <class Vector>
struct MatrixInt {
  using Weights = Vector;
  struct Activations {
    int8x16_t of_first, of_second;  // halves
  };
  using Sum = RowSum;
  static constexpr size_t kWidth = 2 * kOperand;
  static constexpr PackActivations* kPack = PackAsSplitBytes<kOperand>;
  static constexpr size_t kParts = 1;
  static constexpr size_t kPartsOfOneRow = 1;
  static constexpr bool kPairs = true;
  static constexpr size_t kTokensOfOneRow = 0;
  // 4 x 4 tiles of one sum each, four rows and two vectors of activations: 22 of 32 registers.
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 4;
  // The two lanes that Total() adds have one product for each column, at most 255 * 128.
  static constexpr size_t kMaxCols = size_t{1} << 16;
  static_assert(kMaxCols * 255 * 128 <= INT32_MAX);

  static Sum Zero() { return RowSum::Zero(); }
  static Weights LoadWeights(const int8_t* p) { return vld1q_s8(p); }
  static Weights LoadWeights(const uint8_t* p) { return vld1q_u8(p); }
  static Activations LoadActivations(const uint8_t* p) {
    const auto* q = reinterpret_cast<const int8_t*>(p);
    return {vld1q_s8(q), vld1q_s8(q + 2 * kOperand)};
  }
  static void AddPair(Weights a, Weights b, const Activations& q, Sum& sum_a, Sum& sum_b) {
    sum_a.first = MulAdd(FirstHalves(a, b), q.of_first, sum_a.first);
    sum_b.first = MulAdd(SecondHalves(a, b), q.of_second, sum_b.first);
  }
  static void SeparatePair(Sum& a, Sum& b) { RowSum::Separate(a, b); }
  static void Add(Weights w, const Activations& q, Sum& sum) {
    sum.first = MulAdd(w, q.of_first, sum.first);
    sum.second = MulAdd(w, q.of_second, sum.second);
  }
  static double Total(const Sum& sum) {
    const int32x2_t totals = sum.Totals();
    return 256.0 * vget_lane_s32(totals, 0) + vget_lane_s32(totals, 1);
  }
  static double Excess(const void*) { return 0; }
};

// Rows of nibbles without scales.
struct MatrixNibbles {
  using Columns = NeonColumns;
  using Weights = uint8x16_t;  // as stored
  using Sum = RowSum;
  static constexpr size_t kWidth = 2 * kOperand;
  static constexpr size_t kRun = kOperand;
  // 4 x 4 tiles of one sum each, four rows of two vectors and two of activations: 26 of 32 registers.
  static constexpr size_t kRows = 4;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kManyRows = kRows;
  static constexpr size_t kManyRowTokens = 0;

  static Sum Zero() { return RowSum::Zero(); }
  static Weights Load(const NibblePair* p) { return vld1q_u8(&p->both); }

  // The even columns of first and second halves, then the odd ones.
  struct Operands {
    uint8x16_t of[4];
  };
  static Operands Unpack(uint8x16_t first, uint8x16_t second) {
    const uint8x16_t mask = vdupq_n_u8(15);
    return {{vandq_u8(first, mask), vandq_u8(second, mask), vshrq_n_u8(first, 4), vshrq_n_u8(second, 4)}};
  }

  // Adds the products of term(nibbles) for every row; compilers unpack rows once for all tokens.
  template <size_t R, class Term>
  static inline __attribute__((always_inline)) void AddTerms(const Weights (&w)[R], const int8_t* q, Sum* sums,
                                                             const Term& term) {
    constexpr bool kPairs = R % 2 == 0;
    constexpr size_t kStep = kPairs ? 2 : 1;
    Operands rows[R];
    TIED_UNROLL for (size_t r = 0; r < R; r += kStep) {
      const uint8x16_t other = w[r + kStep - 1];
      rows[r] = kPairs ? Unpack(FirstHalves(w[r], other), SecondHalves(w[r], other)) : Unpack(w[r], w[r]);
    }
    TIED_UNROLL for (size_t i = 0; i < 4; ++i) {
      const int8x16_t at = KeepInRegister(vld1q_s8(q + i * 2 * kRun));
      TIED_UNROLL for (size_t r = 0; r < R; r += kStep) {
        int32x4_t& sum = i % 2 == 0 ? sums[r].first : kPairs ? sums[r + kStep - 1].first : sums[r].second;
        sum = MulAdd(term(rows[r].of[i]), at, sum);
      }
    }
  }
  template <size_t R>
  static inline __attribute__((always_inline)) void Add(const Weights (&w)[R], const int8_t* q, Sum* sums) {
    AddTerms(w, q, sums, [](uint8x16_t nibbles) { return nibbles; });
  }
  template <size_t R>
  static inline __attribute__((always_inline)) void AddSpreads(const Weights (&w)[R], const int8_t* mask, Sum* sums) {
    const uint8x16_t spreads = vld1q_u8(kSpreads);
    AddTerms(w, mask, sums, [&](uint8x16_t nibbles) { return vqtbl1q_u8(spreads, nibbles); });
  }
  template <size_t R, size_t count>
  static void Totals(Sum (&sums)[count], uint32_t* totals) {
    if constexpr (R % 2 == 0) {
      TIED_UNROLL for (size_t i = 0; i < count; i += 2) RowSum::Separate(sums[i], sums[i + 1]);
    }
    TIED_UNROLL for (size_t i = 0; i < count; ++i) {
      const uint32x2_t of = vreinterpret_u32_s32(sums[i].Totals());
      totals[i] = (vget_lane_u32(of, 0) << 8) + vget_lane_u32(of, 1);
    }
  }
};

constexpr ByteKernels kBytes = {MatrixInt<int8x16_t>::kPack, DotInt<MatrixInt<int8x16_t>, int8_t>::Dot,
                                DotInt<MatrixInt<uint8x16_t>, uint8_t>::Dot};

bool Available() { return HasNeonDot() && HasNeonI8mm(); }

}  // namespace

const Kernels kNeonI8mm = {"neoni8mm",      Available,
                           &kNeonFloats,    &kBytes,
                           &kNeonDotBlocks, &kNibbleKernels<MatrixNibbles>,
                           ExpsOfNegatives, {/*float32=*/16, /*widened=*/kNeverXnnpack}};

}  // namespace tied::kernels
