// Loops over rows of integers, shared by the vector instruction sets; avx.h shows what a set supplies.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_DOT_INT_H_
#define TIED_KERNELS_DOT_INT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/dot_float.h"
#include "kernels/kernels.h"
#include "kernels/loops.h"

namespace tied::kernels {
namespace {

// Activations are packed token after token, each padded with zeros to this many columns.
inline __attribute__((always_inline)) size_t PaddedCols(size_t cols) { return (cols + 127) / 128 * 128; }

// In column order, two bytes each.
inline void PackAsWords(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
  auto* to = static_cast<int16_t*>(packed);
  for (size_t t = 0; t < tokens; ++t, to += PaddedCols(cols)) {
    std::memcpy(to, activations + t * cols, cols * sizeof(int16_t));
    std::memset(to + cols, 0, (PaddedCols(cols) - cols) * sizeof(int16_t));
  }
}

// q = 256 * *upper + *lower, |q| <= 32512.
inline void SplitActivation(int q, int8_t* upper, int8_t* lower) {
  *upper = static_cast<int8_t>((q + 128) >> 8);
  *lower = static_cast<int8_t>(q - 256 * *upper);
}

// In runs of `width` columns: the upper bytes of a run, then its lower bytes.
template <size_t width>
void PackAsSplitBytes(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
  auto* to = static_cast<int8_t*>(packed);
  for (size_t t = 0; t < tokens; ++t, to += 2 * PaddedCols(cols)) {
    for (size_t k = 0; k < PaddedCols(cols); ++k) {
      int8_t* upper = to + k / width * 2 * width + k % width;
      SplitActivation(k < cols ? activations[t * cols + k] : 0, upper, upper + width);
    }
  }
}

// Rows of int8 or uint8. At most Isa::kTokensOfOneRow tokens take one row after the other: prefetchers follow a single
// stream best. More tokens take tiles of kRows x kTokens, which load activations once for several rows.
//
// Isa also has kPack, which lays activations out as LoadActivations() reads them; kWidth, the columns in a vector;
// kParts, the vectors in a block of a tile, and kPartsOfOneRow, in one of a single row; Weights, Activations and Sum,
// registers for a vector of a row, of a token and of their product; LoadWeights(pointer) for both types,
// LoadActivations(pointer to 2 * kWidth packed bytes), Add(weights, activations, sum), Join(sum, sum), Total(sum);
// kMaxCols, the number of columns, at least kBlock, that a sum can add without overflow; Excess(pointer), the number
// that LoadWeights() has added to each weight of that type. kPairs: tiles of several rows use AddPair(two weights,
// activations, two sums), and then SeparatePair(two sums), after which each sum has the products of its own row.
template <class Isa, class Byte>
struct DotInt {
  template <size_t R>
  static constexpr size_t kParts = R == 1 ? Isa::kPartsOfOneRow : Isa::kParts;
  template <size_t R>
  static constexpr size_t kBlock = kParts<R>* Isa::kWidth;
  template <size_t R>
  static constexpr bool kPairs = R % 2 == 0 && Isa::kPairs;

  // A single row adds its vectors to two sums in turn: with one, each addition would wait for the one before.
  template <size_t R>
  static constexpr size_t kChains = R == 1 && kParts<R> > 1 ? 2 : 1;
  template <size_t R, size_t T>
  using Sums = typename Isa::Sum[R][T][kChains<R>];

  template <size_t R, size_t T>
  static inline __attribute__((always_inline)) void AddBlock(const Byte* rows, size_t row_stride,
                                                             const uint8_t* activations, size_t token_stride,
                                                             Sums<R, T>& sums) {
    TIED_UNROLL for (size_t p = 0; p < kParts<R>; ++p) {
      typename Isa::Weights row[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) row[r] = Isa::LoadWeights(rows + r * row_stride + p * Isa::kWidth);
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        const typename Isa::Activations q = Isa::LoadActivations(activations + t * token_stride + p * 2 * Isa::kWidth);
        if constexpr (kPairs<R>) {
          TIED_UNROLL for (size_t r = 0; r < R; r += 2) {
            Isa::AddPair(row[r], row[r + 1], q, sums[r][t][0], sums[r + 1][t][0]);
          }
        } else {
          TIED_UNROLL for (size_t r = 0; r < R; ++r) Isa::Add(row[r], q, sums[r][t][p % kChains<R>]);
        }
      }
    }
  }

  // R rows times T tokens over at most kMaxCols columns; adds to totals.
  template <size_t R, size_t T, class Prefetch>
  static inline __attribute__((always_inline)) void Columns(const Byte* rows, size_t row_stride, size_t cols,
                                                            const Byte* tail, const uint8_t* activations,
                                                            size_t token_stride, Prefetch& prefetch,
                                                            double (&totals)[R][T]) {
    Sums<R, T> sums;
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        TIED_UNROLL for (typename Isa::Sum& sum : sums[r][t]) sum = Isa::Zero();
      }
    }
    size_t col = 0;
    for (; col + kBlock<R> <= cols; col += kBlock<R>) {
      prefetch.template Step<R * kBlock<R>>(rows + col);
      AddBlock<R, T>(rows + col, row_stride, activations + 2 * col, token_stride, sums);
    }
    if (col < cols) AddBlock<R, T>(tail, kBlock<R>, activations + 2 * col, token_stride, sums);
    if constexpr (kPairs<R>) {
      TIED_UNROLL for (size_t r = 0; r < R; r += 2) {
        TIED_UNROLL for (size_t t = 0; t < T; ++t) Isa::SeparatePair(sums[r][t][0], sums[r + 1][t][0]);
      }
    }
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        if constexpr (kChains<R> == 2) sums[r][t][0] = Isa::Join(sums[r][t][0], sums[r][t][1]);
        totals[r][t] += Isa::Total(sums[r][t][0]);
      }
    }
  }

  // R rows times T tokens from `first` on.
  template <size_t R, size_t T, class Prefetch>
  static inline __attribute__((always_inline)) void Tile(const Byte* rows, size_t cols,
                                                         const ActivationsView& activations, size_t first,
                                                         Prefetch prefetch, double* sums, size_t sums_stride) {
    static_assert(Isa::kMaxCols % kBlock<R> == 0);
    Byte tail[R * kBlock<R>];
    if (cols % kBlock<R> != 0) CopyRowTails<R, kBlock<R>>(rows, cols, tail);
    const size_t token_stride = 2 * PaddedCols(cols);
    const auto* q = static_cast<const uint8_t*>(activations.packed) + first * token_stride;
    double totals[R][T];
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      const double excess = Isa::Excess(rows) * activations.totals[first + t];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) totals[r][t] = -excess;
    }
    for (size_t col = 0; col < cols; col += Isa::kMaxCols) {
      const size_t width = cols - col < Isa::kMaxCols ? cols - col : Isa::kMaxCols;
      Columns<R, T>(rows + col, cols, width, tail, q + 2 * col, token_stride, prefetch, totals);
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) sums[(first + t) * sums_stride + r] = totals[r][t];
    }
  }

  // All rows, one after the other, times all `tokens` <= T.
  template <size_t T>
  static void DotFew(const Byte* rows, size_t row_count, size_t cols, const ActivationsView& activations, double* sums,
                     size_t sums_stride) {
    if constexpr (T > 1) {
      if (activations.tokens < T) return DotFew<T - 1>(rows, row_count, cols, activations, sums, sums_stride);
    }
    static_assert(kBlock<1> % kLineBytes == 0);
    for (size_t r = 0; r < row_count; ++r) {
      Tile<1, T>(rows + r * cols, cols, activations, 0, PrefetchAhead(), sums + r, sums_stride);
    }
  }

  // R rows times a group of `tokens` <= T.
  template <size_t R, size_t T>
  static void TileOf(size_t tokens, const Byte* rows, size_t cols, const ActivationsView& activations, size_t first,
                     FetchAhead ahead, double* sums, size_t sums_stride) {
    if constexpr (T > 1) {
      if (tokens < T) {
        return TileOf<R, T - 1>(tokens, rows, cols, activations, first, ahead, sums, sums_stride);
      }
    }
    Tile<R, T>(rows, cols, activations, first, ahead, sums, sums_stride);
  }

  // R rows times all tokens, in groups of at most T.
  template <size_t R, size_t T>
  static void RowTile(const Byte* rows, size_t cols, const ActivationsView& activations, double* sums,
                      size_t sums_stride) {
    for (size_t first = 0, size = 0, group = 0; first < activations.tokens; first += size, ++group) {
      size = GroupSize(first, activations.tokens, T);
      const FetchAhead ahead(rows, R, cols, kBlock<R>, group, size == activations.tokens);
      TileOf<R, T>(size, rows, cols, activations, first, ahead, sums, sums_stride);
    }
  }

  static void DotMany(const Byte* rows, size_t row_count, size_t cols, const ActivationsView& activations, double* sums,
                      size_t sums_stride) {
    size_t r = 0;
    for (; r + Isa::kRows <= row_count; r += Isa::kRows) {
      RowTile<Isa::kRows, Isa::kTokens>(rows + r * cols, cols, activations, sums + r, sums_stride);
    }
    for (; r < row_count; ++r) RowTile<1, 1>(rows + r * cols, cols, activations, sums + r, sums_stride);
  }

  static void Dot(const Byte* rows, size_t row_count, size_t cols, const ActivationsView& activations, double* sums,
                  size_t sums_stride) {
    if constexpr (Isa::kTokensOfOneRow > 0) {
      if (activations.tokens <= Isa::kTokensOfOneRow) {
        return DotFew<Isa::kTokensOfOneRow>(rows, row_count, cols, activations, sums, sums_stride);
      }
    }
    DotMany(rows, row_count, cols, activations, sums, sums_stride);
  }
};

template <class Isa>
constexpr ByteKernels kByteKernels = {Isa::kPack, DotInt<Isa, int8_t>::Dot, DotInt<Isa, uint8_t>::Dot};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_INT_H_
