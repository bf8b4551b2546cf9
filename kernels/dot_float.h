// The driver of dot products with float rows that the vector instruction sets share: each supplies a vector type and
// four operations on it (see avx.h), this file the loops. scalar.cc does not use it, so that it can check it.
//
// Everything is in an unnamed namespace: each file that includes this keeps its own copy, compiled for its own
// instruction set, and the linker can never pick one that the CPU lacks.
#ifndef TIED_KERNELS_DOT_FLOAT_H_
#define TIED_KERNELS_DOT_FLOAT_H_

#include <cstddef>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/loops.h"

namespace tied::kernels {
namespace {

// Isa: Vec, kWidth (floats in a Vec), kRows and kTokens (the largest tile whose sums fit in the registers), Zero(),
// LoadHidden(pointer), MulAdd(a, b, c) = a * b + c fused. A Vec holds a part of the lanes of one sum, or those of
// several tokens, which are next to each other in the packed layout: Load(pointer) for each element type, widened, then
// repeats the kLanes elements of the row for each. Sum(parts, i) = the reduction tree over the kLanes lanes of the
// token at i.
//
// Packed layout of hidden: tokens in groups of at most kTokens, as equal as can be, as 3 + 3 is faster than 4 + 2;
// group after group; in a group, block after block of kLanes columns; in a block, token after token: a tile reads one
// stream.

// Size of the group that starts at token `first`, at most `largest`; a multiple of `multiple` if it is not the last.
inline size_t GroupSize(size_t first, size_t tokens, size_t largest, size_t multiple = 1) {
  const size_t left = tokens - first;
  const size_t groups = (left + largest - 1) / largest;
  const size_t size = (left + groups - 1) / groups;
  return groups == 1 ? left : (size + multiple - 1) / multiple * multiple;
}

// Tokens whose lanes a vector holds.
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

  // The tile for `tokens` <= T.
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
