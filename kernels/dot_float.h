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

// A shape says how much of the product one tile computes. It has
//  - Vec, kWidth (floats in a Vec), Zero(), Load(pointer) for each element type, which widens, LoadHidden(pointer),
//    MulAdd(a, b, c) = a * b + c fused, Add(a, b), and Sum(v), which adds the lanes of one vector in the order that
//    scalar.cc defines;
//  - kRows and kTokens, the size of the tile, and kParts, the vectors of lanes that a pass over the rows sums. All
//    kRows * kTokens * kParts sums stay in registers.
//
// A set has three shapes. `One`, for one token, and `Few` take one row after the other and all lanes at once: the table
// is then read from its first byte to its last, which suits the prefetchers of every CPU, and the lanes are enough
// independent additions to keep up with memory. `Many`, for more tokens than Few::kTokens, takes several rows, which
// stay in the L1 cache, and passes over them once for every kParts vectors of lanes: more lanes do not cost registers.
//
// Packed layout of hidden: tokens are split into groups of at most kTokens, of sizes as equal as possible, because 3 +
// 3 is faster than 4 + 2. A group holds pass after pass, a pass blocks of kFloatLanes columns, a block the vectors of
// the pass, each token after token. A tile thus reads one stream. One token alone is in the order of its columns, for
// every shape.

// Size of the group that starts at token `first`, at most `largest`.
inline size_t GroupSize(size_t first, size_t tokens, size_t largest) {
  const size_t left = tokens - first;
  const size_t groups = (left + largest - 1) / largest;
  return (left + groups - 1) / groups;
}

template <class Shape>
inline constexpr size_t kPasses = kFloatLanes / (Shape::kWidth * Shape::kParts);

// Copies the columns from `col` on, at most Shape::kWidth of `cols`, and zeros behind them.
template <class Shape>
void PackVector(const float* hidden, size_t col, size_t cols, float* packed) {
  const size_t left = col < cols ? cols - col : 0;
  const size_t width = left < Shape::kWidth ? left : Shape::kWidth;
  std::memcpy(packed, hidden + (width == 0 ? 0 : col), width * sizeof(float));
  std::memset(packed + width, 0, (Shape::kWidth - width) * sizeof(float));
}

template <class Shape>
void PackGroups(const float* hidden, size_t tokens, size_t cols, float* packed) {
  for (size_t first = 0, group = 0; first < tokens; first += group) {
    group = GroupSize(first, tokens, Shape::kTokens);
    for (size_t pass = 0; pass < kPasses<Shape>; ++pass) {
      for (size_t block = 0; block < cols; block += kFloatLanes) {
        for (size_t part = pass * Shape::kParts; part < (pass + 1) * Shape::kParts; ++part) {
          for (size_t t = first; t < first + group; ++t, packed += Shape::kWidth) {
            PackVector<Shape>(hidden + t * cols, block + part * Shape::kWidth, cols, packed);
          }
        }
      }
    }
  }
}

template <class Few, class Many>
void PackFor(const float* hidden, size_t tokens, size_t cols, float* packed) {
  (tokens <= Few::kTokens ? PackGroups<Few> : PackGroups<Many>)(hidden, tokens, cols, packed);
}

// With more tokens than Few::kTokens arithmetic takes the time: each group prefetches its share of the next tile.
class PrefetchShare {
 public:
  // Prefetches `bytes` in the course of `blocks` steps.
  PrefetchShare(const char* first, size_t bytes, size_t blocks)
      : next_(first), end_(first + bytes), lines_((bytes / kLineBytes + blocks - 1) / blocks) {}

  template <size_t>
  inline __attribute__((always_inline)) void Step(const void*) {
    for (size_t i = 0; i < lines_ && next_ < end_; ++i, next_ += kLineBytes) __builtin_prefetch(next_, 0, 2);
  }

 private:
  const char* next_;
  const char* end_;
  size_t lines_;
};

template <class Shape, class Element>
struct DotFloat {
  using Vec = typename Shape::Vec;
  static constexpr size_t kParts = Shape::kParts;
  static constexpr size_t kPassCount = kPasses<Shape>;

  template <size_t R, size_t T>
  struct Sums {
    Vec lanes[R][T][kParts];
  };

  // Adds the lanes of one pass in one block of columns, of R rows times T tokens.
  template <size_t R, size_t T>
  static inline __attribute__((always_inline)) void AddBlock(const Element* rows, size_t row_stride,
                                                             const float* packed, Sums<R, T>& sums) {
    TIED_UNROLL for (size_t p = 0; p < kParts; ++p) {
      Vec row[R];
      TIED_UNROLL for (size_t r = 0; r < R; ++r) row[r] = Shape::Load(rows + r * row_stride + p * Shape::kWidth);
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        const Vec x = Shape::LoadHidden(packed + (p * T + t) * Shape::kWidth);
        TIED_UNROLL for (size_t r = 0; r < R; ++r) {
          Vec& sum = sums.lanes[r][t][p];
          sum = Shape::MulAdd(row[r], x, sum);
        }
      }
    }
  }

  // One pass of R rows times a group of T tokens. rows, tail and packed begin with the pass's first lane.
  template <size_t R, size_t T, class Prefetch>
  static inline __attribute__((always_inline)) Sums<R, T> Pass(const Element* rows, size_t cols, const Element* tail,
                                                               const float* packed, Prefetch& prefetch) {
    Sums<R, T> sums;
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        TIED_UNROLL for (size_t p = 0; p < kParts; ++p) sums.lanes[r][t][p] = Shape::Zero();
      }
    }
    constexpr size_t kPackedBlock = T * kParts * Shape::kWidth;
    size_t col = 0;
    for (; col + kFloatLanes <= cols; col += kFloatLanes, packed += kPackedBlock) {
      prefetch.template Step<kFloatLanes * sizeof(Element)>(rows + col);
      AddBlock(rows + col, cols, packed, sums);
    }
    if (col < cols) AddBlock(tail, kFloatLanes, packed, sums);
    return sums;
  }

  // R rows times a group of T tokens.
  template <size_t R, size_t T, class Prefetch>
  static inline __attribute__((always_inline)) void Tile(const Element* rows, size_t cols, const float* packed,
                                                         Prefetch prefetch, float* logits, size_t logits_stride) {
    Element tail[R * kFloatLanes];
    if (cols % kFloatLanes != 0) CopyRowTails<R, kFloatLanes>(rows, cols, tail);
    const size_t pass_floats = T * PackedTokenSize(cols) / kPassCount;
    Sums<R, T> sums[kPassCount];
    TIED_NO_UNROLL for (size_t pass = 0; pass < kPassCount; ++pass) {
      const size_t lane = pass * kParts * Shape::kWidth;
      sums[pass] = Pass<R, T>(rows + lane, cols, tail + lane, packed + pass * pass_floats, prefetch);
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) {
        constexpr size_t kVectors = kPassCount * kParts;
        Vec lanes[kVectors];
        TIED_UNROLL for (size_t i = 0; i < kVectors; ++i) lanes[i] = sums[i / kParts].lanes[r][t][i % kParts];
        TIED_UNROLL for (size_t half = kVectors / 2; half > 0; half /= 2) {
          TIED_UNROLL for (size_t i = 0; i < half; ++i) lanes[i] = Shape::Add(lanes[i], lanes[i + half]);
        }
        logits[t * logits_stride + r] = Shape::Sum(lanes[0]);
      }
    }
  }

  // All rows, one after the other, times `tokens` <= T, which are one group.
  template <size_t T>
  static void DotFew(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                     float* logits, size_t logits_stride) {
    if constexpr (T > 1) {
      if (tokens < T) return DotFew<T - 1>(rows, row_count, cols, packed, tokens, logits, logits_stride);
    }
    for (size_t r = 0; r < row_count; ++r) {
      Tile<1, T>(rows + r * cols, cols, packed, PrefetchAhead(), logits + r, logits_stride);
    }
  }

  // R rows times one group of `tokens` <= T.
  template <size_t R, size_t T>
  static void TileOf(const Element* rows, size_t cols, const float* packed, size_t tokens, PrefetchShare prefetch,
                     float* logits, size_t logits_stride) {
    if constexpr (T > 1) {
      if (tokens < T) return TileOf<R, T - 1>(rows, cols, packed, tokens, prefetch, logits, logits_stride);
    }
    Tile<R, T>(rows, cols, packed, prefetch, logits, logits_stride);
  }

  // R rows times all tokens; the rows stay in the L1 cache from one group to the next.
  template <size_t R>
  static void RowTile(const Element* rows, size_t cols, const float* packed, size_t tokens, float* logits,
                      size_t logits_stride) {
    const size_t packed_cols = PackedTokenSize(cols);
    const size_t groups = (tokens + Shape::kTokens - 1) / Shape::kTokens;
    const size_t share = (R * cols * sizeof(Element) / groups / kLineBytes + 1) * kLineBytes;
    const char* next = reinterpret_cast<const char*>(rows + R * cols);
    for (size_t first = 0, size = 0; first < tokens; first += size, next += share) {
      size = GroupSize(first, tokens, Shape::kTokens);
      const PrefetchShare prefetch(next, share, packed_cols / kFloatLanes * kPassCount);
      TileOf<R, Shape::kTokens>(rows, cols, packed + first * packed_cols, size, prefetch,
                                logits + first * logits_stride, logits_stride);
    }
  }

  // Tiles of R rows, then of fewer for the rows that are left: a single row has too few sums to hide their latency.
  template <size_t R>
  static void DotMany(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                      float* logits, size_t logits_stride) {
    size_t r = 0;
    for (; r + R <= row_count; r += R) RowTile<R>(rows + r * cols, cols, packed, tokens, logits + r, logits_stride);
    constexpr size_t kFewer = R > 4 ? 4 : (R + 1) / 2;
    if constexpr (R > 1) {
      DotMany<kFewer>(rows + r * cols, row_count - r, cols, packed, tokens, logits + r, logits_stride);
    }
  }
};

template <class One, class Few, class Many, class Element>
void DotFor(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
            size_t logits_stride) {
  if (tokens == 1) {
    DotFloat<One, Element>::template DotFew<1>(rows, row_count, cols, packed, 1, logits, logits_stride);
  } else if (tokens <= Few::kTokens) {
    DotFloat<Few, Element>::template DotFew<Few::kTokens>(rows, row_count, cols, packed, tokens, logits, logits_stride);
  } else {
    DotFloat<Many, Element>::template DotMany<Many::kRows>(rows, row_count, cols, packed, tokens, logits,
                                                           logits_stride);
  }
}

template <class One, class Few, class Many>
constexpr FloatKernels kFloatKernels = {PackFor<Few, Many>, DotFor<One, Few, Many, float>, DotFor<One, Few, Many, Half>,
                                        DotFor<One, Few, Many, BFloat16>};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_FLOAT_H_
