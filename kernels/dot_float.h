// Loops over float rows, shared by the vector instruction sets. Each set supplies a vector type and operations on it
// (see avx.h). scalar.cc does not use these loops, so that tests can compare the two.
//
// Everything is in an unnamed namespace: each file that includes this has a copy compiled for its instruction set, so
// the linker cannot pick one that the CPU does not support.
#ifndef TIED_KERNELS_DOT_FLOAT_H_
#define TIED_KERNELS_DOT_FLOAT_H_

#include <cstddef>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/loops.h"

namespace tied::kernels {
namespace {

// Isa has Vec, kWidth (floats in a Vec), kRows and kTokens (the largest tile whose sums fit in the registers), Zero(),
// Load(pointer) for each element type, which widens, LoadHidden(pointer) and MulAdd(a, b, c) = a * b + c fused.
// A Vec holds some of the lanes of one token, or all lanes of several tokens that are adjacent in the packed layout; in
// the second case Load() repeats the kLanes elements of the row for each token. Sum(parts, i) adds the kLanes lanes of
// token i in the order that scalar.cc defines.
//
// Packed layout of hidden: tokens are split into groups of at most kTokens, of sizes as equal as possible, because 3 +
// 3 is faster than 4 + 2. A group is a sequence of blocks of kLanes columns; a block holds token after token. A tile
// thus reads one stream.

// Size of the group that starts at token `first`, at most `largest`; a multiple of `multiple` unless it is the last.
inline size_t GroupSize(size_t first, size_t tokens, size_t largest, size_t multiple = 1) {
  const size_t left = tokens - first;
  const size_t groups = (left + largest - 1) / largest;
  const size_t size = (left + groups - 1) / groups;
  return groups == 1 ? left : (size + multiple - 1) / multiple * multiple;
}

// Number of tokens whose lanes share a vector.
template <class Isa>
inline constexpr size_t kTogether = Isa::kWidth > kLanes ? Isa::kWidth / kLanes : 1;

template <class Isa>
inline size_t FloatGroupSize(size_t first, size_t tokens) {
  static_assert(Isa::kTokens % kTogether<Isa> == 0);
  return GroupSize(first, tokens, Isa::kTokens, kTogether<Isa>);
}

template <class Isa>
void PackGroups(const float* hidden, size_t tokens, size_t cols, float* packed) {
  for (size_t first = 0, group = 0; first < tokens; first += group) {
    group = FloatGroupSize<Isa>(first, tokens);
    for (size_t col = 0; col < cols; col += kLanes) {
      const size_t width = cols - col < kLanes ? cols - col : kLanes;
      for (size_t t = first; t < first + group; ++t, packed += kLanes) {
        std::memset(packed + width, 0, (kLanes - width) * sizeof(float));
        std::memcpy(packed, hidden + t * cols + col, width * sizeof(float));
      }
    }
  }
  std::memset(packed, 0, kLanes * sizeof(float));
}

template <class Isa, class Element>
struct DotFloat {
  using Vec = typename Isa::Vec;
  static constexpr size_t kPerVec = kTogether<Isa>;
  static constexpr size_t kParts = kLanes * kPerVec / Isa::kWidth;
  static constexpr size_t kBlockBytes = kLanes * sizeof(Element);

  template <size_t R, size_t T>
  struct Sums {
    Vec lanes[R][(T + kPerVec - 1) / kPerVec][kParts];
  };

  // Adds one block of kLanes columns of R rows times T tokens.
  template <size_t R, size_t T>
  static inline __attribute__((always_inline)) void AddBlock(const Element* rows, size_t row_stride,
                                                             const float* packed, Sums<R, T>& sums) {
    TIED_UNROLL for (size_t p = 0; p < kParts; ++p) {
      Vec row[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) row[r] = Isa::Load(rows + r * row_stride + p * Isa::kWidth);
      TIED_UNROLL for (size_t t = 0; t < T; t += kPerVec) {
        const Vec x = Isa::LoadHidden(packed + t * kLanes + p * Isa::kWidth);
        TIED_UNROLL for (size_t r = 0; r < R; ++r) {
          Vec& sum = sums.lanes[r][t / kPerVec][p];
          sum = Isa::MulAdd(row[r], x, sum);
        }
      }
    }
  }

  // R rows times a group of T tokens.
  template <size_t R, size_t T>
  static void Tile(const Element* rows, size_t cols, const float* packed, FetchAhead ahead, float* logits,
                   size_t logits_stride) {
    Sums<R, T> sums;
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; t += kPerVec) {
        TIED_UNROLL for (size_t p = 0; p < kParts; ++p) sums.lanes[r][t / kPerVec][p] = Isa::Zero();
      }
    }
    size_t col = 0;
    for (; col + kLanes <= cols; col += kLanes) {
      ahead.template Block<R * kBlockBytes>(col / kLanes);
      AddBlock(rows + col, cols, packed + col * T, sums);
    }
    if (col < cols) {
      Element tail[R * kLanes] = {};
      for (size_t r = 0; r < R; ++r) {
        std::memcpy(tail + r * kLanes, rows + r * cols + col, (cols - col) * sizeof(Element));
      }
      AddBlock(tail, kLanes, packed + col * T, sums);
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) {
        logits[t * logits_stride + r] = Isa::Sum(sums.lanes[r][t / kPerVec], t % kPerVec);
      }
    }
  }

  // Runs the tile for `tokens` <= T.
  template <size_t R, size_t T, class... Args>
  static void TileOf(size_t tokens, Args... args) {
    if (tokens == T) return Tile<R, T>(args...);
    if constexpr (T > 1) TileOf<R, T - 1>(tokens, args...);
  }

  // R rows times all tokens; the rows stay in the L1 cache from one group to the next.
  template <size_t R>
  static void RowTile(const Element* rows, size_t cols, const float* packed, size_t tokens, float* logits,
                      size_t logits_stride) {
    const size_t packed_cols = PackedTokenSize(cols);
    for (size_t first = 0, size = 0, group = 0; first < tokens; first += size, ++group) {
      size = FloatGroupSize<Isa>(first, tokens);
      const FetchAhead ahead(rows, R, cols * sizeof(Element), kBlockBytes, group, size == tokens);
      TileOf<R, Isa::kTokens>(size, rows, cols, packed + first * packed_cols, ahead, logits + first * logits_stride,
                              logits_stride);
    }
  }

  static void Dot(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride) {
    size_t r = 0;
    for (; r + Isa::kRows <= row_count; r += Isa::kRows) {
      RowTile<Isa::kRows>(rows + r * cols, cols, packed, tokens, logits + r, logits_stride);
    }
    for (; r < row_count; ++r) {
      RowTile<1>(rows + r * cols, cols, packed, tokens, logits + r, logits_stride);
    }
  }
};

template <class Isa>
constexpr FloatKernels kFloatKernels = {PackGroups<Isa>, DotFloat<Isa, float>::Dot, DotFloat<Isa, Half>::Dot,
                                        DotFloat<Isa, BFloat16>::Dot};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_FLOAT_H_
