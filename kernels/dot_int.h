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
inline __attribute__((always_inline)) size_t PaddedCols(size_t cols) { return (cols + 63) / 64 * 64; }

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

// Rows of int8 or uint8. Isa has kPack, which lays activations out as LoadActivations() reads them; kRows and kTokens,
// the largest tile; kWidth, the columns in a vector, and kParts, the vectors in a block; Weights, Activations and Sum,
// registers for a vector of a row, of a token and of their product; LoadWeights(pointer) for both types,
// LoadActivations(pointer to 2 * kWidth packed bytes), Add(weights, activations, sum), Total(sum); kMaxCols, the number
// of columns, at least kBlock, that a sum can add without overflow; Excess(pointer), the number that LoadWeights() has
// added to each weight of that type. kPairs: tiles of several rows use AddPair(two weights, activations, two sums), and
// then SeparatePair(two sums), after which each sum has the products of its own row.
template <class Isa, class Byte>
struct DotInt {
  static constexpr size_t kBlock = Isa::kWidth * Isa::kParts;
  template <size_t R>
  static constexpr bool kPairs = R % 2 == 0 && Isa::kPairs;

  template <size_t R, size_t T>
  static inline __attribute__((always_inline)) void AddBlock(const Byte* rows, size_t row_stride,
                                                             const uint8_t* activations, size_t token_stride,
                                                             typename Isa::Sum (&sums)[R][T]) {
    TIED_UNROLL for (size_t p = 0; p < Isa::kParts; ++p) {
      typename Isa::Weights row[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) row[r] = Isa::LoadWeights(rows + r * row_stride + p * Isa::kWidth);
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        const typename Isa::Activations q = Isa::LoadActivations(activations + t * token_stride + p * 2 * Isa::kWidth);
        if constexpr (kPairs<R>) {
          TIED_UNROLL for (size_t r = 0; r < R; r += 2) Isa::AddPair(row[r], row[r + 1], q, sums[r][t], sums[r + 1][t]);
        } else {
          TIED_UNROLL for (size_t r = 0; r < R; ++r) Isa::Add(row[r], q, sums[r][t]);
        }
      }
    }
  }

  // R rows times T tokens over at most kMaxCols columns; adds to totals.
  template <size_t R, size_t T>
  static void Columns(const Byte* rows, size_t row_stride, size_t cols, const uint8_t* activations, size_t token_stride,
                      FetchAhead ahead, double (&totals)[R][T]) {
    typename Isa::Sum sums[R][T];
    TIED_UNROLL for (size_t r = 0; r < R; ++r) { TIED_UNROLL for (size_t t = 0; t < T; ++t) sums[r][t] = Isa::Zero(); }
    size_t col = 0;
    for (; col + kBlock <= cols; col += kBlock) {
      ahead.template Block<R * kBlock>(col / kBlock);
      AddBlock(rows + col, row_stride, activations + 2 * col, token_stride, sums);
    }
    if (col < cols) {
      Byte tail[R * kBlock] = {};
      for (size_t r = 0; r < R; ++r) std::memcpy(tail + r * kBlock, rows + r * row_stride + col, cols - col);
      AddBlock(tail, kBlock, activations + 2 * col, token_stride, sums);
    }
    if constexpr (kPairs<R>) {
      TIED_UNROLL for (size_t r = 0; r < R; r += 2) {
        TIED_UNROLL for (size_t t = 0; t < T; ++t) Isa::SeparatePair(sums[r][t], sums[r + 1][t]);
      }
    }
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; ++t) totals[r][t] += Isa::Total(sums[r][t]);
    }
  }

  template <size_t R, size_t T>
  static void Tile(const Byte* rows, size_t cols, const ActivationsView& activations, size_t first, FetchAhead ahead,
                   double* sums, size_t sums_stride) {
    static_assert(Isa::kMaxCols % kBlock == 0);
    const size_t token_stride = 2 * PaddedCols(cols);
    const auto* q = static_cast<const uint8_t*>(activations.packed) + first * token_stride;
    double totals[R][T];
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      const double excess = Isa::Excess(rows) * activations.totals[first + t];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) totals[r][t] = -excess;
    }
    for (size_t col = 0; col < cols; col += Isa::kMaxCols) {
      const size_t width = cols - col < Isa::kMaxCols ? cols - col : Isa::kMaxCols;
      Columns(rows + col, cols, width, q + 2 * col, token_stride, ahead, totals);
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) sums[(first + t) * sums_stride + r] = totals[r][t];
    }
  }

  template <size_t R, size_t T, class... Args>
  static void TileOf(size_t tokens, Args... args) {
    if (tokens == T) return Tile<R, T>(args...);
    if constexpr (T > 1) TileOf<R, T - 1>(tokens, args...);
  }

  template <size_t R, size_t T>
  static void RowTile(const Byte* rows, size_t cols, const ActivationsView& activations, double* sums,
                      size_t sums_stride) {
    for (size_t first = 0, size = 0, group = 0; first < activations.tokens; first += size, ++group) {
      size = GroupSize(first, activations.tokens, T);
      const FetchAhead ahead(rows, R, cols, kBlock, group, size == activations.tokens);
      TileOf<R, T, const Byte*, size_t, const ActivationsView&>(size, rows, cols, activations, first, ahead, sums,
                                                                sums_stride);
    }
  }

  static void Dot(const Byte* rows, size_t row_count, size_t cols, const ActivationsView& activations, double* sums,
                  size_t sums_stride) {
    size_t r = 0;
    for (; r + Isa::kRows <= row_count; r += Isa::kRows) {
      RowTile<Isa::kRows, Isa::kTokens>(rows + r * cols, cols, activations, sums + r, sums_stride);
    }
    for (; r < row_count; ++r) RowTile<1, 1>(rows + r * cols, cols, activations, sums + r, sums_stride);
  }
};

template <class Isa>
constexpr ByteKernels kByteKernels = {Isa::kPack, DotInt<Isa, int8_t>::Dot, DotInt<Isa, uint8_t>::Dot};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_INT_H_
