// The loop over rows of nibbles without scales, shared by the vector instruction sets; avx.h shows what a set supplies.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_DOT_NIBBLE_H_
#define TIED_KERNELS_DOT_NIBBLE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/dot_int.h"
#include "kernels/kernels.h"
#include "kernels/loops.h"

namespace tied::kernels {
namespace {

// Isa has kWidth, the bytes in a vector of a row, so twice as many columns; kRows and kTokens, the largest tile;
// Weights, the even and the odd columns of such a vector; Load(pointer); LoadTail(pointer, bytes) for fewer bytes, a
// multiple of kNibbleBlockBytes, which reads no others; Sum and Zero(); Add(weights, pointer to the
// packed activations of the vector's columns, sum); Totals(sums of R rows, R numbers), which adds lanes. All sums are
// modulo 2^32.
//
// Packed layout of activations: token after token. For each vector of a row: the upper bytes of the even columns, of
// the odd columns, then the lower bytes of both, kWidth each.
template <class Isa>
struct DotNibble {
  static constexpr size_t kVector = Isa::kWidth;
  static constexpr size_t kPackedVector = 4 * kVector;

  static size_t TokenStride(size_t cols) {
    return (RowElements(static_cast<const NibblePair*>(nullptr), cols) + kVector - 1) / kVector * kPackedVector;
  }

  static void Pack(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
    auto* to = static_cast<int8_t*>(packed);
    std::memset(to, 0, tokens * TokenStride(cols));
    for (size_t t = 0; t < tokens; ++t, to += TokenStride(cols)) {
      for (size_t k = 0; k < cols; ++k) {
        int8_t* upper = to + k / 2 / kVector * kPackedVector + k % 2 * kVector + k / 2 % kVector;
        SplitActivation(activations[t * cols + k], upper, upper + 2 * kVector);
      }
    }
  }

  // R rows times T tokens; sums go to sums[at[r]]. next: rows to prefetch meanwhile, or null.
  template <size_t R, size_t T>
  static void Tile(const NibblePair* const* rows, const NibblePair* const* next, size_t row_bytes, const int8_t* packed,
                   size_t token_stride, uint32_t* sums, size_t sums_stride, const size_t* at) {
    typename Isa::Sum acc[T][R];
    TIED_UNROLL for (size_t t = 0; t < T; ++t) { TIED_UNROLL for (size_t r = 0; r < R; ++r) acc[t][r] = Isa::Zero(); }
    size_t byte = 0;
    const auto add = [&](const auto& load) __attribute__((always_inline)) {
      typename Isa::Weights weights[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) weights[r] = load(rows[r] + byte);
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        Isa::Add(weights, packed + t * token_stride + byte / kVector * kPackedVector, acc[t]);
      }
    };
    for (; byte + kVector <= row_bytes; byte += kVector) {
      if (next != nullptr && byte % kLine == 0) {
        TIED_UNROLL for (size_t r = 0; r < R; ++r) __builtin_prefetch(next[r] + byte);
      }
      add([](const NibblePair* p) { return Isa::Load(p); });
    }
    if constexpr (kVector > kNibbleBlockBytes) {
      if (byte < row_bytes) add([=](const NibblePair* p) { return Isa::LoadTail(p, row_bytes - byte); });
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      uint32_t totals[R];
      Isa::Totals(acc[t], totals);
      TIED_UNROLL for (size_t r = 0; r < R; ++r) sums[t * sums_stride + at[r]] = totals[r];
    }
  }

  template <size_t R, size_t T, class... Args>
  static void TileOf(size_t tokens, Args... args) {
    if (tokens == T) return Tile<R, T>(args...);
    if constexpr (T > 1) TileOf<R, T - 1>(tokens, args...);
  }

  // Rows at[0 … R) times all tokens.
  template <size_t R>
  static void RowTile(const NibbleRows& rows, const size_t (&at)[R], size_t row_count, size_t cols, const void* packed,
                      size_t tokens, uint32_t* sums, size_t sums_stride) {
    const size_t row_bytes = RowElements(rows.values, cols);
    const NibblePair* tile[R];
    const NibblePair* next[R];
    for (size_t r = 0; r < R; ++r) {
      tile[r] = rows.Row(at[r], row_bytes);
      next[r] = rows.Row(at[r] + kAheadRows < row_count ? at[r] + kAheadRows : at[r], row_bytes);
    }
    const size_t token_stride = TokenStride(cols);
    for (size_t t = 0, count = 0; t < tokens; t += count) {
      count = tokens - t < Isa::kTokens ? tokens - t : Isa::kTokens;
      const bool prefetch = rows.ids != nullptr && t == 0;
      TileOf<R, Isa::kTokens>(count, static_cast<const NibblePair* const*>(tile),
                              static_cast<const NibblePair* const*>(prefetch ? next : nullptr), row_bytes,
                              static_cast<const int8_t*>(packed) + t * token_stride, token_stride,
                              sums + t * sums_stride, sums_stride, static_cast<const size_t*>(at));
    }
  }

  // Rows that follow each other in memory are taken from kRows places far apart, each of which the CPU's prefetcher
  // follows as a stream of its own: with neighbours, one page would have kRows streams, which it does not detect.
  // Scattered rows are taken in their order and prefetched here.
  static void Dot(const NibbleRows& rows, size_t row_count, size_t cols, const void* packed, size_t tokens,
                  uint32_t* sums, size_t sums_stride) {
    const size_t tiles = row_count / Isa::kRows;
    const size_t step = rows.ids == nullptr ? tiles : 1;
    for (size_t i = 0; i < tiles; ++i) {
      size_t at[Isa::kRows];
      for (size_t r = 0; r < Isa::kRows; ++r) at[r] = (rows.ids == nullptr ? i : i * Isa::kRows) + r * step;
      RowTile<Isa::kRows>(rows, at, row_count, cols, packed, tokens, sums, sums_stride);
    }
    for (size_t r = tiles * Isa::kRows; r < row_count; ++r) {
      RowTile<1>(rows, {r}, row_count, cols, packed, tokens, sums, sums_stride);
    }
  }

 private:
  static constexpr size_t kLine = 64;
  static constexpr size_t kAheadRows = 16;
};

template <class Isa>
constexpr NibbleKernels kNibbleKernels = {DotNibble<Isa>::Pack, DotNibble<Isa>::TokenStride, DotNibble<Isa>::Dot};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_NIBBLE_H_
