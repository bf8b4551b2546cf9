// Vector operations for the loops of dot_blocks.h, on x86-64 with vectors of 32 bytes: eight blocks; and products
// without VNNI, for vectors of 32 and of 64 bytes. In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_AVX_BLOCKS_H_
#define TIED_KERNELS_AVX_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/avx.h"
#include "kernels/dot_blocks.h"

namespace tied::kernels {
namespace {

// What does not depend on the stored integers.
struct AvxBlockVectors {
  static constexpr size_t kGroupBlocks = 8;
  using Vec = __m256;
  using Ints = __m256i;

  // Four vectors of two blocks each are transposed within their halves: lane 4 i + j belongs to block 2 j + i.
  static constexpr size_t BlockAt(size_t lane) { return lane % 4 * 2 + lane / 4; }
  static void TransposeParts(const Ints (&from)[4], Ints (&to)[4]) {
    const Ints low_a = _mm256_unpacklo_epi32(from[0], from[1]), high_a = _mm256_unpackhi_epi32(from[0], from[1]);
    const Ints low_b = _mm256_unpacklo_epi32(from[2], from[3]), high_b = _mm256_unpackhi_epi32(from[2], from[3]);
    to[0] = _mm256_unpacklo_epi64(low_a, low_b);
    to[1] = _mm256_unpackhi_epi64(low_a, low_b);
    to[2] = _mm256_unpacklo_epi64(high_a, high_b);
    to[3] = _mm256_unpackhi_epi64(high_a, high_b);
  }
  struct PlanePair {
    Ints of[kPlanes];
  };
  // The planes of two blocks of bytes.
  static PlanePair LoadPlanes(const uint8_t* p) {
    const auto join = [=](size_t low, size_t high) __attribute__((always_inline)) {
      return _mm256_inserti128_si256(_mm256_castsi128_si256(Load16Bytes(p + low)), Load16Bytes(p + high), 1);
    };
    return {{join(0, 32), join(16, 48)}};
  }
  static PlanePair LoadFirstPlanes(const uint8_t* p, size_t bytes) {
    uint8_t tail[2 * sizeof(Ints)];
    CopyTail(p, bytes, tail);
    return LoadPlanes(tail);
  }

  static Ints Load(const void* p) { return Load32Bytes(p); }
  static Ints LoadFirst(const uint8_t* p, size_t bytes) {
    uint8_t tail[32];
    CopyTail(p, bytes, tail);
    return Load32Bytes(tail);
  }
  static Ints ZeroInts() { return _mm256_setzero_si256(); }
  static Ints AllBytes(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static Ints AllWords(int16_t word) { return _mm256_set1_epi16(word); }
  static Ints And(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  static Ints Xor(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
  static Ints UpperHalves(Ints bytes) { return And(_mm256_srli_epi16(bytes, 4), AllBytes(15)); }
  static Ints EvenBytes(Ints bytes) { return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8); }
  static Ints OddBytes(Ints bytes) { return _mm256_srai_epi16(bytes, 8); }
  static Ints AddWords(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
  static Ints MulBytes(Ints a, Ints b) { return _mm256_maddubs_epi16(a, b); }
  static Ints MulAddWords(Ints a, Ints b, Ints sum) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
  static Vec ToFloats(Ints ints) { return _mm256_cvtepi32_ps(ints); }

  static Vec Zero() { return _mm256_setzero_ps(); }
  static Vec MulAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static Vec InLaneOrder(Vec scales) {
    return _mm256_permutevar8x32_ps(scales, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
  }
  template <bool whole>
  static Vec LoadScales(const float* p, size_t blocks) {
    if constexpr (whole) return InLaneOrder(_mm256_loadu_ps(p));
    float tail[kGroupBlocks];
    CopyTail(p, blocks, tail);
    return LoadScales<true>(tail, blocks);
  }
  template <bool whole>
  static Vec LoadScales(const Half* p, size_t blocks) {
    if constexpr (whole) return InLaneOrder(_mm256_cvtph_ps(Load16Bytes(p)));
    Half tail[kGroupBlocks];
    CopyTail(p, blocks, tail);
    return LoadScales<true>(tail, blocks);
  }
  // Bytes of the blocks in the order of lanes.
  template <bool whole>
  static __m128i LoadZeroPoints(const uint8_t* p, size_t blocks) {
    uint8_t bytes[kGroupBlocks];
    CopyTail(p, whole ? kGroupBlocks : blocks, bytes);
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, -1, -1, -1, -1, -1, -1, -1, -1);
    return _mm_shuffle_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)), order);
  }
  static Vec FloatsOfUnsigned(__m128i bytes) { return ToFloats(_mm256_cvtepu8_epi32(bytes)); }
  static Vec FloatsOfSigned(__m128i bytes) { return ToFloats(_mm256_cvtepi8_epi32(bytes)); }
  static Vec AllFloats(float value) { return _mm256_set1_ps(value); }
  static Vec SubtractProduct(Vec values, Vec zero_points, const float* totals) {
    return _mm256_fnmadd_ps(zero_points, _mm256_loadu_ps(totals), values);
  }
  static float Total(const Vec (&sums)[2]) {
    return SumLanes(
        _mm256_permutevar8x32_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
};

// The stored integers as unsigned bytes for nibbles, and as bytes to which `flip` was applied. `Vectors` is
// AvxBlockVectors or Avx512BlockVectors.
template <class Vectors, class Stored>
struct BlockBytes;

template <class Vectors>
struct BlockBytes<Vectors, Nibbles> : Vectors {
  using typename Vectors::Ints;
  using typename Vectors::Vec;
  struct Blocks {
    Ints of[4];
  };
  // Four bytes of both planes of each block of a group.
  struct Planes {
    Ints of[kPlanes];
  };
  template <class LoadVector>
  static Blocks Transposed(const LoadVector& load) {
    constexpr size_t kWidth = sizeof(Ints);
    Blocks blocks;
    Vectors::TransposeParts({load(0), load(kWidth), load(2 * kWidth), load(3 * kWidth)}, blocks.of);
    return blocks;
  }
  static Blocks Load(const uint8_t* p, uint8_t) {
    return Transposed([=](size_t at) __attribute__((always_inline)) { return Vectors::Load(p + at); });
  }
  static Blocks LoadTail(const uint8_t* p, uint8_t, size_t bytes) {
    return Transposed([=](size_t at) __attribute__((always_inline)) {
      return bytes > at ? Vectors::LoadFirst(p + at, bytes - at) : Vectors::ZeroInts();
    });
  }
  template <size_t number>
  static Planes PlanesOf(const Blocks& blocks) {
    return {{Vectors::And(blocks.of[number], Vectors::AllBytes(15)), Vectors::UpperHalves(blocks.of[number])}};
  }
  template <bool whole>
  static Vec ZeroPoints(const uint8_t* p, uint8_t, size_t blocks) {
    if (p == nullptr) return Vectors::Zero();
    const Vec bytes = Vectors::FloatsOfUnsigned(Vectors::template LoadZeroPoints<whole>(p, blocks));
    return Vectors::MulAdd(bytes, Vectors::AllFloats(0x1p-4f), Vectors::AllFloats(-8.0f));
  }
};

template <class Vectors>
struct BlockBytes<Vectors, Bytes> : Vectors {
  using typename Vectors::Ints;
  using typename Vectors::Vec;
  struct Blocks {
    Ints of[kPlanes][4];
  };
  struct Planes {
    Ints of[kPlanes];
  };
  template <class LoadPlanes>
  static Blocks Transposed(uint8_t flip, const LoadPlanes& load) {
    const Ints flips = Vectors::AllBytes(flip);
    Ints planes[kPlanes][4];
    TIED_UNROLL for (size_t i = 0; i < 4; ++i) {
      const auto pair = load(2 * i * sizeof(Ints));
      TIED_UNROLL for (size_t plane = 0; plane < kPlanes; ++plane) {
        planes[plane][i] = Vectors::Xor(pair.of[plane], flips);
      }
    }
    Blocks blocks;
    TIED_UNROLL for (size_t plane = 0; plane < kPlanes; ++plane) {
      Vectors::TransposeParts(planes[plane], blocks.of[plane]);
    }
    return blocks;
  }
  static Blocks Load(const uint8_t* p, uint8_t flip) {
    return Transposed(
        flip, [=](size_t at) __attribute__((always_inline)) { return Vectors::LoadPlanes(p + at); });
  }
  static Blocks LoadTail(const uint8_t* p, uint8_t flip, size_t bytes) {
    return Transposed(
        flip, [=](size_t at) __attribute__((always_inline)) {
          return Vectors::LoadFirstPlanes(bytes > at ? p + at : p, bytes > at ? bytes - at : 0);
        });
  }
  template <size_t number>
  static Planes PlanesOf(const Blocks& blocks) {
    return {{blocks.of[0][number], blocks.of[1][number]}};
  }
  template <bool whole>
  static Vec ZeroPoints(const uint8_t* p, uint8_t flip, size_t blocks) {
    const __m128i flips = _mm_set1_epi8(static_cast<char>(flip));
    const __m128i bytes = p == nullptr ? _mm_setzero_si128() : Vectors::template LoadZeroPoints<whole>(p, blocks);
    return Vectors::FloatsOfSigned(_mm_xor_si128(bytes, flips));
  }
};

// Products without VNNI. Those of nibbles and signed bytes, at most 15 * 128 each, are added in 16-bit lanes, 16 to a
// lane; bytes are widened to 16 bits.
template <class Vectors, class Stored, size_t rows>
struct PairBlocks;

template <class Vectors, size_t rows>
struct PairBlocks<Vectors, Nibbles, rows> : BlockBytes<Vectors, Nibbles> {
  using Base = BlockBytes<Vectors, Nibbles>;
  using typename Base::Ints;
  using Weights = typename Base::Planes;
  struct Sum {
    Ints upper, lower;
  };
  static constexpr int kCentre = Nibbles::kCentre;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kRowsOfOneToken = 2;

  static void PackGroup(const BlockActivations<Base::kGroupBlocks>& q, uint8_t* to) {
    PackAsSplitLanes<PairBlocks, Nibbles>(q, to);
  }
  template <size_t number>
  static Weights Quarter(const typename Base::Blocks& blocks) {
    return Base::template PlanesOf<number>(blocks);
  }
  static const uint8_t* LoadActivations(const uint8_t* p) { return p; }
  static Sum Start(const uint8_t*) { return {Base::ZeroInts(), Base::ZeroInts()}; }
  template <size_t>
  static void Add(const Weights& w, const uint8_t* q, Sum& sum) {
    TIED_UNROLL for (size_t i = 0; i < kPlanes; ++i, q += 2 * sizeof(Ints)) {
      sum.upper = KeepInRegister(Base::AddWords(sum.upper, Base::MulBytes(w.of[i], Vectors::Load(q))));
      sum.lower = KeepInRegister(Base::AddWords(sum.lower, Base::MulBytes(w.of[i], Vectors::Load(q + sizeof(Ints)))));
    }
  }
  static typename Base::Vec Values(const Sum& sum, const uint8_t* starts) {
    const Ints upper = Base::MulAddWords(sum.upper, Base::AllWords(256), Vectors::Load(starts));
    return Base::ToFloats(Base::MulAddWords(sum.lower, Base::AllWords(1), upper));
  }
};

template <class Vectors, size_t rows>
struct PairBlocks<Vectors, Bytes, rows> : BlockBytes<Vectors, Bytes> {
  using Base = BlockBytes<Vectors, Bytes>;
  using typename Base::Ints;
  using Sum = Ints;
  struct Weights {
    Ints of[2 * kPlanes];
  };
  static constexpr int kCentre = Bytes::kCentre;
  static constexpr size_t kRows = rows;
  static constexpr size_t kTokens = 4;
  static constexpr size_t kRowsOfOneToken = 2;

  static void PackGroup(const BlockActivations<Base::kGroupBlocks>& q, uint8_t* to) {
    PackAsWordLanes<PairBlocks, Bytes>(q, to);
  }
  template <size_t number>
  static Weights Quarter(const typename Base::Blocks& blocks) {
    const auto planes = Base::template PlanesOf<number>(blocks);
    return {{Base::EvenBytes(planes.of[0]), Base::OddBytes(planes.of[0]), Base::EvenBytes(planes.of[1]),
             Base::OddBytes(planes.of[1])}};
  }
  static const uint8_t* LoadActivations(const uint8_t* p) { return p; }
  static Sum Start(const uint8_t*) { return Base::ZeroInts(); }
  template <size_t>
  static void Add(const Weights& w, const uint8_t* q, Sum& sum) {
    TIED_UNROLL for (size_t i = 0; i < 2 * kPlanes; ++i) {
      sum = KeepInRegister(Base::MulAddWords(w.of[i], Vectors::Load(q + i * sizeof(Ints)), sum));
    }
  }
  static typename Base::Vec Values(Sum sum, const uint8_t*) { return Base::ToFloats(sum); }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_AVX_BLOCKS_H_
