// The float32 dot-product driver that the vector instruction sets share: each supplies a vector type and four
// operations on it (see avx2.cc), this file the loops. scalar.cc does not use it, so that it can check it.
//
// Everything is in an unnamed namespace: each file that includes this keeps its own copy, compiled for its own
// instruction set, and the linker can never pick one that the CPU lacks.
#ifndef TIED_KERNELS_DOT_F32_H_
#define TIED_KERNELS_DOT_F32_H_

#include <cstddef>
#include <cstring>

#include "kernels/kernels.h"

// The sums stay in registers only if every loop over them is unrolled.
#if defined(__clang__)
#define TIED_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TIED_UNROLL _Pragma("GCC unroll 16")
#endif

namespace tied::kernels {
namespace {

// Isa: Vec, kWidth (floats in a Vec), kRows and kTokens (the largest tile whose sums fit in the registers), Zero(),
// Load(pointer), MulAdd(a, b, c) = a * b + c fused, Sum(parts) = the reduction tree over the kLanes lanes.
template <class Isa>
struct DotF32 {
  using Vec = typename Isa::Vec;
  static constexpr size_t kParts = kLanes / Isa::kWidth;

  // Tokens are worked on in groups of at most kTokens, as equal as can be: 3 + 3 is faster than 4 + 2. Size of the
  // group that starts at `first`.
  static size_t GroupSize(size_t first, size_t tokens) {
    const size_t left = tokens - first;
    const size_t groups = (left + Isa::kTokens - 1) / Isa::kTokens;
    return (left + groups - 1) / groups;
  }

  // Packed layout: group after group; in a group, block after block of kLanes columns; in a block, token after token:
  // a tile reads one stream.
  static void Pack(const float* hidden, size_t tokens, size_t cols, float* packed) {
    for (size_t first = 0, group = 0; first < tokens; first += group) {
      group = GroupSize(first, tokens);
      for (size_t col = 0; col < cols; col += kLanes) {
        const size_t width = cols - col < kLanes ? cols - col : kLanes;
        for (size_t t = first; t < first + group; ++t, packed += kLanes) {
          std::memset(packed + width, 0, (kLanes - width) * sizeof(float));
          std::memcpy(packed, hidden + t * cols + col, width * sizeof(float));
        }
      }
    }
  }

  template <size_t R, size_t T>
  struct Sums {
    Vec lanes[R][T][kParts];
  };

  // Adds one block of kLanes columns of R rows times T tokens.
  template <size_t R, size_t T>
  static inline __attribute__((always_inline)) void AddBlock(const float* rows, size_t row_stride, const float* packed,
                                                             Sums<R, T>& sums) {
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

  // R rows times a group of T tokens. Meanwhile the row at `ahead` is fetched into the cache.
  template <size_t R, size_t T>
  static void Tile(const float* rows, size_t cols, const float* packed, const float* ahead, float* logits,
                   size_t logits_stride) {
    Sums<R, T> sums;
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        TIED_UNROLL for (size_t p = 0; p < kParts; ++p) sums.lanes[r][t][p] = Isa::Zero();
      }
    }
    size_t col = 0;
    for (; col + kLanes <= cols; col += kLanes) {
      __builtin_prefetch(ahead + col);
      AddBlock(rows + col, cols, packed + col * T, sums);
    }
    if (col < cols) {
      float tail[R * kLanes] = {};
      for (size_t r = 0; r < R; ++r) {
        std::memcpy(tail + r * kLanes, rows + r * cols + col, (cols - col) * sizeof(float));
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

  // R rows times all tokens; the rows stay in the L1 cache from one group to the next. With many groups the time goes
  // into arithmetic, and the memory would idle: each of the first groups fetches one of the next R rows. `rows_left`:
  // rows from `rows` to the end of the call.
  template <size_t R>
  static void RowTile(const float* rows, size_t rows_left, size_t cols, const float* packed, size_t tokens,
                      float* logits, size_t logits_stride) {
    const size_t packed_cols = PackedHiddenSize(1, cols);
    size_t ahead = R;
    for (size_t first = 0, group = 0; first < tokens; first += group, ++ahead) {
      group = GroupSize(first, tokens);
      const bool fetch = ahead < 2 * R && ahead < rows_left;
      TileOf<R, Isa::kTokens>(group, rows, cols, packed + first * packed_cols, fetch ? rows + ahead * cols : rows,
                              logits + first * logits_stride, logits_stride);
    }
  }

  static void Dot(const float* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride) {
    size_t r = 0;
    for (; r + Isa::kRows <= row_count; r += Isa::kRows) {
      RowTile<Isa::kRows>(rows + r * cols, row_count - r, cols, packed, tokens, logits + r, logits_stride);
    }
    for (; r < row_count; ++r) {
      RowTile<1>(rows + r * cols, row_count - r, cols, packed, tokens, logits + r, logits_stride);
    }
  }
};

}  // namespace
}  // namespace tied::kernels

#undef TIED_UNROLL

#endif  // TIED_KERNELS_DOT_F32_H_
