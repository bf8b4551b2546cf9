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
#include "kernels/screen_bounds.h"

namespace tied::kernels {
namespace {

// Isa has kWidth, the bytes in a vector of a row, so twice as many columns; kTokens and kRows, the largest tile, which
// has kManyRows for up to kManyRowTokens tokens; Weights, the columns of such a vector; Load(pointer);
// LoadTail(pointer, bytes) for fewer bytes, a multiple of kNibbleBlockBytes, which reads no others; Sum and Zero();
// Add(weights of some rows, pointer to the packed activations of the vector's columns, their sums); AddSpreads(weights,
// the same of a mask, sums); Totals<rows of the tile>(sums, as many numbers), which adds lanes; and Columns, for
// ColumnSums() in screen_bounds.h. All sums are modulo 2^32.
//
// Packed layout of activations: token after token. For each vector of a row: the even columns, then the odd ones, in
// runs of kRun columns: the upper bytes of a run, then its lower bytes.
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
        const size_t i = k % 2 * kVector + k / 2 % kVector;
        int8_t* upper = to + k / 2 / kVector * kPackedVector + i / Isa::kRun * 2 * Isa::kRun + i % Isa::kRun;
        SplitActivation(activations[t * cols + k], upper, upper + Isa::kRun);
      }
    }
  }

  // What the tiles of a call have in common.
  struct Call {
    const NibbleRows& rows;
    size_t row_count;
    size_t bytes;       // of the range of columns in a row
    size_t ahead_rows;  // how far ahead scattered rows are prefetched
    const int8_t* packed;
    size_t token_stride;
    uint32_t* sums;
    size_t sums_stride;
    const NibbleSpreads* spreads;
  };

  // The rows at[R] times T tokens from `token` on: writes their sums and, if asked to, spreads. fetch: whether to
  // prefetch later rows.
  template <size_t R, size_t T, bool with_spreads>
  static void Tile(const Call& call, const size_t* at, size_t token, bool fetch) {
    // Of each token, then the spreads.
    constexpr size_t kSums = T + (with_spreads ? 1 : 0);
    typename Isa::Sum acc[kSums * R];
    TIED_UNROLL for (size_t i = 0; i < kSums * R; ++i) acc[i] = Isa::Zero();
    const NibblePair* rows[R];
    const NibblePair* next[R];
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      rows[r] = call.rows.Row(at[r]);
      next[r] = Later(call, at[r], rows[r]);
    }
    const int8_t* const packed = call.packed + token * call.token_stride;
    const int8_t* const mask = with_spreads ? MaskOf(call) : nullptr;
    size_t byte = 0;
    const auto add = [&](const auto& load) __attribute__((always_inline)) {
      typename Isa::Weights weights[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) weights[r] = load(rows[r] + byte);
      const size_t in_packed = byte / kVector * kPackedVector;
      TIED_UNROLL for (size_t t = 0; t < T; ++t)
          Isa::Add(weights, packed + t * call.token_stride + in_packed, acc + t * R);
      if constexpr (with_spreads) Isa::AddSpreads(weights, mask + in_packed, acc + T * R);
    };
    for (; byte + kVector <= call.bytes; byte += kVector) {
      if (fetch && byte % kLineBytes == 0) {
        TIED_UNROLL for (size_t r = 0; r < R; ++r) __builtin_prefetch(next[r] + byte);
      }
      add([](const NibblePair* p) { return Isa::Load(p); });
    }
    if constexpr (kVector > kNibbleBlockBytes) {
      if (byte < call.bytes) add([&](const NibblePair* p) { return Isa::LoadTail(p, call.bytes - byte); });
    }
    uint32_t totals[kSums * R];
    Isa::template Totals<R>(acc, totals);
    TIED_UNROLL for (size_t t = 0; t < kSums; ++t) {
      uint32_t* const sums = t < T ? call.sums + (token + t) * call.sums_stride : call.spreads->sums;
      TIED_UNROLL for (size_t r = 0; r < R; ++r) sums[at[r]] = totals[t * R + r];
    }
  }

  // Tiles of as many tokens as possible, for R rows.
  template <size_t R, size_t T>
  static void TileOf(const Call& call, const size_t* at, size_t token, size_t tokens) {
    if (tokens == T) {
      const bool first = token == 0;
      return first && call.spreads != nullptr ? Tile<R, T, true>(call, at, token, first)
                                              : Tile<R, T, false>(call, at, token, first);
    }
    if constexpr (T > 1) TileOf<R, T - 1>(call, at, token, tokens);
  }

  // Rows that follow each other in memory are taken from R places far apart, each of which the CPU's prefetcher follows
  // as a stream of its own: with neighbours, one page would have R streams, which it does not detect. Scattered rows
  // are taken in their order. Both are prefetched here, too: the prefetcher starts again at each page.
  template <size_t R>
  static void Rows(const Call& call, size_t tokens) {
    const size_t tiles = call.row_count / R;
    const bool dense = call.rows.ids == nullptr;
    const size_t step = dense ? tiles : 1;
    const auto all_tokens = [&](const auto& tile) {
      for (size_t t = 0; t < tokens; t += Isa::kTokens) tile(t, tokens - t < Isa::kTokens ? tokens - t : Isa::kTokens);
    };
    for (size_t i = 0; i < tiles; ++i) {
      size_t at[R];
      for (size_t r = 0; r < R; ++r) at[r] = (dense ? i : i * R) + r * step;
      all_tokens([&](size_t t, size_t count) { TileOf<R, Isa::kTokens>(call, at, t, count); });
    }
    for (size_t r = tiles * R; r < call.row_count; ++r) {
      all_tokens([&](size_t t, size_t count) { TileOf<1, Isa::kTokens>(call, &r, t, count); });
    }
  }

  static void Dot(const NibbleRows& rows, size_t row_count, const void* packed, size_t tokens, uint32_t* sums,
                  size_t sums_stride, const NibbleSpreads* spreads) {
    const size_t bytes = RowElements(rows.values, rows.count);
    const Call call = {rows,
                       row_count,
                       bytes,
                       bytes * kAheadRows < 2 * kAheadBytes ? 2 * kAheadBytes / bytes : kAheadRows,
                       static_cast<const int8_t*>(packed) + OffsetOf(rows.first),
                       TokenStride(rows.cols),
                       sums,
                       sums_stride,
                       spreads};
    if (rows.ids != nullptr) FetchFirst(call);
    if (tokens <= Isa::kManyRowTokens) return Rows<Isa::kManyRows>(call, tokens);
    Rows<Isa::kRows>(call, tokens);
  }

 private:
  static constexpr size_t kAheadBytes = 2048;
  static constexpr size_t kAheadRows = 16;

  static constexpr size_t OffsetOf(size_t col) { return col / 2 / kVector * kPackedVector; }
  static_assert(kNibbleRangeCols / 2 % kVector == 0);

  // What is prefetched while a row is read.
  static const NibblePair* Later(const Call& call, size_t at, const NibblePair* row) {
    if (call.rows.ids == nullptr) return row + kAheadBytes;
    return call.rows.Row(at + call.ahead_rows < call.row_count ? at + call.ahead_rows : at);
  }
  // Prefetches the first scattered rows, which no earlier row prefetches.
  static void FetchFirst(const Call& call) {
    for (size_t r = 0; r < call.ahead_rows && r < call.row_count; ++r) {
      const NibblePair* row = call.rows.Row(r);
      for (size_t byte = 0; byte < call.bytes; byte += kLineBytes) __builtin_prefetch(row + byte);
    }
  }
  static const int8_t* MaskOf(const Call& call) {
    return static_cast<const int8_t*>(call.spreads->mask) + OffsetOf(call.rows.first);
  }
};

template <class Isa>
constexpr NibbleKernels kNibbleKernels = {DotNibble<Isa>::Pack, DotNibble<Isa>::TokenStride, DotNibble<Isa>::Dot,
                                          &kBoundKernels<typename Isa::Columns>};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_NIBBLE_H_
