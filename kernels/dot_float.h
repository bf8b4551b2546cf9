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
// Load(pointer) for each element type, widened, MulAdd(a, b, c) = a * b + c fused, Sum(parts) = the reduction tree over
// the kLanes lanes.
//
// Packed layout of hidden: tokens in groups of at most kTokens, as equal as can be, as 3 + 3 is faster than 4 + 2;
// group after group; in a group, block after block of kLanes columns; in a block, token after token: a tile reads one
// stream.

// Size of the group that starts at token `first`, at most `largest`.
inline size_t GroupSize(size_t first, size_t tokens, size_t largest) {
  const size_t left = tokens - first;
  const size_t groups = (left + largest - 1) / largest;
  return (left + groups - 1) / groups;
}

template <class Isa>
void PackGroups(const float* hidden, size_t tokens, size_t cols, float* packed) {
  for (size_t first = 0, group = 0; first < tokens; first += group) {
    group = GroupSize(first, tokens, Isa::kTokens);
    for (size_t col = 0; col < cols; col += kLanes) {
      const size_t width = cols - col < kLanes ? cols - col : kLanes;
      for (size_t t = first; t < first + group; ++t, packed += kLanes) {
        std::memset(packed + width, 0, (kLanes - width) * sizeof(float));
        std::memcpy(packed, hidden + t * cols + col, width * sizeof(float));
      }
    }
  }
}

template <class Isa, class Element>
struct DotFloat {
  using Vec = typename Isa::Vec;
  static constexpr size_t kParts = kLanes / Isa::kWidth;
  static constexpr size_t kBlockBytes = kLanes * sizeof(Element);

  template <size_t R, size_t T>
  struct Sums {
    Vec lanes[R][T][kParts];
  };

  // Adds one block of kLanes columns of R rows times T tokens.
  template <size_t R, size_t T>
  static inline __attribute__((always_inline)) void AddBlock(const Element* rows, size_t row_stride,
                                                             const float* packed, Sums<R, T>& sums) {
    TIED_UNROLL for (size_t p = 0; p < kParts; ++p) {
      Vec row[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) row[r] = Isa::Load(rows + r * row_stride + p * Isa::kWidth);
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        const Vec x = Isa::Load(packed + t * kLanes + p * Isa::kWidth);
        TIED_UNROLL for (size_t r = 0; r < R; ++r) {
          sums.lanes[r][t][p] = Isa::MulAdd(row[r], x, sums.lanes[r][t][p]);
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
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        TIED_UNROLL for (size_t p = 0; p < kParts; ++p) sums.lanes[r][t][p] = Isa::Zero();
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
      TIED_UNROLL for (size_t r = 0; r < R; ++r) logits[t * logits_stride + r] = Isa::Sum(sums.lanes[r][t]);
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
    const size_t packed_cols = PackedHiddenSize(1, cols);
    for (size_t first = 0, size = 0, group = 0; first < tokens; first += size, ++group) {
      size = GroupSize(first, tokens, Isa::kTokens);
      const FetchAhead ahead(rows, R, cols * sizeof(Element), kBlockBytes, group, size == tokens);
      TileOf<R, Isa::kTokens>(size, rows, cols, packed + first * packed_cols, ahead, logits + first * logits_stride,
                              logits_stride);
    }
  }

  static void Dot(const void* table, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride) {
    const auto* rows = static_cast<const Element*>(table);
    size_t r = 0;
    for (; r + Isa::kRows <= row_count; r += Isa::kRows) {
      RowTile<Isa::kRows>(rows + r * cols, cols, packed, tokens, logits + r, logits_stride);
    }
    for (; r < row_count; ++r) {
      RowTile<1>(rows + r * cols, cols, packed, tokens, logits + r, logits_stride);
    }
  }
};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_FLOAT_H_
