// Loops over rows in blocks, shared by the vector instruction sets; avx_blocks.h shows what a set supplies.
// In an unnamed namespace for the reason given in dot_float.h.
#ifndef TIED_KERNELS_DOT_BLOCKS_H_
#define TIED_KERNELS_DOT_BLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/dot_int.h"
#include "kernels/kernels.h"
#include "kernels/loops.h"

namespace tied::kernels {
namespace {

// The columns of a block form two planes. In rows of bytes each plane has 16 bytes; in rows of nibbles the planes are
// the lower and the upper halves of the same 16 bytes.
inline constexpr size_t kPlaneBytes = 16;
inline constexpr size_t kPlanes = 2;

struct Nibbles {
  static constexpr size_t kBlockBytes = kPlaneBytes;
  static constexpr size_t Column(size_t plane, size_t byte) { return 2 * byte + plane; }
  static constexpr int kCentre = 8;
};

// int8, or uint8 whose uppermost bit has been flipped: both are signed bytes.
struct Bytes {
  static constexpr size_t kBlockBytes = kPlanes * kPlaneBytes;
  static constexpr size_t Column(size_t plane, size_t byte) { return kPlaneBytes * plane + byte; }
  static constexpr int kCentre = 0;
};

// The first `count` of at most N elements, and zeros.
template <size_t N, class Element>
inline __attribute__((always_inline)) void CopyTail(const Element* from, size_t count, Element (&to)[N]) {
  std::memset(to, 0, sizeof to);
  std::memcpy(to, from, (count < N ? count : N) * sizeof(Element));
}

// Packed activations of a token, padded with zeros to a multiple of 16 blocks. For each group of Isa::kGroupBlocks
// blocks: 64 bytes a block, laid out by Isa::PackGroup(); then, in the order of lanes, the number that each block's sum
// starts with, which subtracts the centre from the stored integers, and the sum of its activations as a float.
inline constexpr size_t kPackedBytes = 2 * kBlockCols + sizeof(int32_t) + sizeof(float);

inline __attribute__((always_inline)) size_t PaddedBlocks(size_t cols) {
  return (BlocksOf(cols) + kBlockLanes - 1) / kBlockLanes * kBlockLanes;
}
inline __attribute__((always_inline)) size_t PackedTokenBytes(size_t cols) { return PaddedBlocks(cols) * kPackedBytes; }

// The activations of some blocks.
template <size_t blocks>
using BlockActivations = int16_t[blocks][kBlockCols];

// Lane i of a group belongs to block Isa::BlockAt(i).
template <class Isa>
void PackBlocks(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
  constexpr size_t kBlocks = Isa::kGroupBlocks;
  auto* to = static_cast<uint8_t*>(packed);
  for (size_t t = 0; t < tokens; ++t, activations += cols) {
    for (size_t first = 0; first < PaddedBlocks(cols) * kBlockCols; first += kBlocks * kBlockCols) {
      BlockActivations<kBlocks> q = {};
      for (size_t k = 0; k < kBlocks * kBlockCols && first + k < cols; ++k) {
        q[k / kBlockCols][k % kBlockCols] = activations[first + k];
      }
      Isa::PackGroup(q, to);
      to += kBlocks * 2 * kBlockCols;
      int32_t starts[kBlocks];
      float totals[kBlocks];
      for (size_t lane = 0; lane < kBlocks; ++lane) {
        int32_t total = 0;
        for (const int16_t activation : q[Isa::BlockAt(lane)]) total += activation;
        starts[lane] = -Isa::kCentre * total;
        totals[lane] = static_cast<float>(total);
      }
      std::memcpy(to, starts, sizeof starts);
      std::memcpy(to + sizeof starts, totals, sizeof totals);
      to += sizeof starts + sizeof totals;
    }
  }
}

// Layouts for vectors whose lanes hold four bytes of each block of a group. Vector i of a group has bytes 4 (i / 2) to
// 4 (i / 2) + 3 of plane i % 2, and is followed by a second one: PackAsSplitLanes writes the upper and the lower bytes
// of activations, PackAsWordLanes the 16-bit activations of the even and of the odd bytes.
inline constexpr size_t kLaneBytes = 4;
inline constexpr size_t kLaneVectors = kPlanes * kPlaneBytes / kLaneBytes;

template <class Isa>
inline constexpr size_t kLaneWidth = Isa::kGroupBlocks* kLaneBytes;

// Calls write(activation, vector, byte) for each byte of each vector. `vector` points to it and to the one behind it.
template <class Isa, class Stored, class Write>
void ForEachLaneByte(const BlockActivations<Isa::kGroupBlocks>& q, uint8_t* to, const Write& write) {
  for (size_t i = 0; i < kLaneVectors; ++i, to += 2 * kLaneWidth<Isa>) {
    for (size_t byte = 0; byte < kLaneWidth<Isa>; ++byte) {
      const size_t column = Stored::Column(i % kPlanes, i / kPlanes * kLaneBytes + byte % kLaneBytes);
      write(q[Isa::BlockAt(byte / kLaneBytes)][column], to, byte);
    }
  }
}

template <class Isa, class Stored>
void PackAsSplitLanes(const BlockActivations<Isa::kGroupBlocks>& q, uint8_t* to) {
  ForEachLaneByte<Isa, Stored>(q, to, [](int16_t activation, uint8_t* vector, size_t byte) {
    auto* upper = reinterpret_cast<int8_t*>(vector + byte);
    SplitActivation(activation, upper, upper + kLaneWidth<Isa>);
  });
}

template <class Isa, class Stored>
void PackAsWordLanes(const BlockActivations<Isa::kGroupBlocks>& q, uint8_t* to) {
  ForEachLaneByte<Isa, Stored>(q, to, [](int16_t activation, uint8_t* vector, size_t byte) {
    std::memcpy(vector + byte % 2 * kLaneWidth<Isa> + byte / 2 * sizeof activation, &activation, sizeof activation);
  });
}

// The rows of a tile: `apart` rows from each to the next.
template <class Stored, class Scale>
struct BlockRows {
  const uint8_t* values;
  const Scale* scales;
  const uint8_t* zero_points;
  size_t cols;
  size_t stride;  // bytes of a row
  uint8_t flip;   // bits to flip in bytes
  size_t apart = 1;

  size_t blocks() const { return BlocksOf(cols); }
  BlockRows From(size_t row) const {
    return {values + row * stride,
            scales + row * blocks(),
            zero_points == nullptr ? nullptr : zero_points + row * blocks(),
            cols,
            stride,
            flip,
            apart};
  }
};

// Isa multiplies groups of kGroupBlocks blocks. It has
//   Vec: floats, one for each block of a group; kSums = 16 / kGroupBlocks of them are a row's sums; Zero(), MulAdd(),
//     and Total(sums);
//   Blocks: the stored integers of a group; Load(pointer, bits to flip), and LoadTail(…, bytes), which reads no more
//     than `bytes`;
//   Weights: a quarter of them; Quarter<number>(blocks);
//   Activations: of a quarter; LoadActivations(pointer);
//   Sum: of the products of a group; Start(pointer to the starts), Add<number>(weights, activations, sum), and
//     Values(sum, pointer to the starts), one for each block;
//   LoadScales<whole>(pointer, blocks), ZeroPoints<whole>(pointer or null, bits to flip, blocks), minus the centre, and
//     SubtractProduct(values, zero points, pointer to totals).
template <class Isa, class Stored, class Scale>
struct DotBlocked {
  using Rows = BlockRows<Stored, Scale>;
  using Vec = typename Isa::Vec;
  static constexpr size_t kSums = kBlockLanes / Isa::kGroupBlocks;
  static constexpr size_t kGroupBytes = Isa::kGroupBlocks * Stored::kBlockBytes;
  // Bytes to prefetch ahead, the fastest on Zen 5: rows are shorter than a page, and a tile reads several streams.
  // Prefetching past the end of a table is harmless.
  static constexpr size_t kAhead = 4096;
  static constexpr size_t kPackedGroup = Isa::kGroupBlocks * kPackedBytes;
  static constexpr size_t kPackedStarts = Isa::kGroupBlocks * 2 * kBlockCols;
  static constexpr size_t kPackedTotals = kPackedStarts + Isa::kGroupBlocks * sizeof(int32_t);
  static constexpr size_t kQuarters = 4;
  static constexpr size_t kPackedQuarter = kPackedStarts / kQuarters;

  template <size_t R, size_t T>
  struct Sums {
    Vec at[R][T][kSums];
  };

  // Prefetches are spread over a group: the CPU has room for few at a time, and stops when it is full.
  template <size_t number>
  static inline __attribute__((always_inline)) void PrefetchQuarter(const uint8_t* values) {
    TIED_UNROLL for (size_t i = 0; i < kGroupBytes; i += kLineBytes) {
      if (i / kLineBytes % kQuarters == number) __builtin_prefetch(values + kAhead + i);
    }
  }

  template <size_t number, size_t R, size_t T>
  static inline __attribute__((always_inline)) void Quarters(const uint8_t* const (&values)[R],
                                                             const typename Isa::Blocks (&blocks)[R],
                                                             const uint8_t* activations, size_t token_bytes,
                                                             typename Isa::Sum (&sums)[R][T]) {
    typename Isa::Weights weights[R];
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      PrefetchQuarter<number>(values[r]);
      weights[r] = Isa::template Quarter<number>(blocks[r]);
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      const auto q = Isa::LoadActivations(activations + t * token_bytes + number * kPackedQuarter);
      TIED_UNROLL for (size_t r = 0; r < R; ++r) Isa::template Add<number>(weights[r], q, sums[r][t]);
    }
    if constexpr (number + 1 < kQuarters) Quarters<number + 1>(values, blocks, activations, token_bytes, sums);
  }

  // Adds the products of a group to sums number `number`.
  template <bool whole, size_t R, size_t T>
  static inline __attribute__((always_inline)) void Group(const Rows& rows, size_t block, size_t number,
                                                          const uint8_t* activations, Sums<R, T>& sums) {
    const size_t token_bytes = PackedTokenBytes(rows.cols), left = rows.blocks() - block;
    const uint8_t* const q = activations + block * kPackedBytes;
    const uint8_t* values[R];
    typename Isa::Blocks blocks[R];
    Vec scales[R], zero_points[R];
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      const size_t row = r * rows.apart, first = row * rows.blocks() + block;
      values[r] = rows.values + row * rows.stride + block * Stored::kBlockBytes;
      const uint8_t* zeros = rows.zero_points == nullptr ? nullptr : rows.zero_points + first;
      __builtin_prefetch(rows.scales + first + kAhead / Stored::kBlockBytes);
      if (zeros != nullptr) __builtin_prefetch(zeros + kAhead / Stored::kBlockBytes);
      if constexpr (whole) {
        blocks[r] = Isa::Load(values[r], rows.flip);
      } else {
        blocks[r] = Isa::LoadTail(values[r], rows.flip, rows.stride - block * Stored::kBlockBytes);
      }
      scales[r] = Isa::template LoadScales<whole>(rows.scales + first, left);
      zero_points[r] = Isa::template ZeroPoints<whole>(zeros, rows.flip, left);
    }
    typename Isa::Sum products[R][T];
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) products[r][t] = Isa::Start(q + t * token_bytes + kPackedStarts);
    }
    Quarters<0>(values, blocks, q, token_bytes, products);
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      const uint8_t* const token = q + t * token_bytes;
      TIED_UNROLL for (size_t r = 0; r < R; ++r) {
        const Vec block_sums = Isa::SubtractProduct(Isa::Values(products[r][t], token + kPackedStarts), zero_points[r],
                                                    reinterpret_cast<const float*>(token + kPackedTotals));
        Vec& sum = sums.at[r][t][number];
        sum = Isa::MulAdd(scales[r], block_sums, sum);
      }
    }
  }

  template <size_t R, size_t T>
  static void Tile(const Rows& rows, const uint8_t* activations, float* results, size_t stride) {
    Sums<R, T> sums;
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        TIED_UNROLL for (size_t i = 0; i < kSums; ++i) sums.at[r][t][i] = Isa::Zero();
      }
    }
    const size_t ready = rows.stride / Stored::kBlockBytes;
    size_t block = 0;
    for (; block + kBlockLanes <= ready; block += kBlockLanes) {
      TIED_UNROLL for (size_t i = 0; i < kSums; ++i) {
        Group<true>(rows, block + i * Isa::kGroupBlocks, i, activations, sums);
      }
    }
    TIED_UNROLL for (size_t i = 0; i < kSums; ++i, block += Isa::kGroupBlocks) {
      if (block + Isa::kGroupBlocks <= ready) {
        Group<true>(rows, block, i, activations, sums);
      } else if (block < rows.blocks()) {
        Group<false>(rows, block, i, activations, sums);
      }
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) {
        // Adding +0 turns -0 into it: the sign of a zero lane depends on whether blocks past the last were added to it.
        results[t * stride + r * rows.apart] = Isa::Total(sums.at[r][t]) + 0.0f;
      }
    }
  }

  template <size_t R, size_t T>
  static void TileOf(size_t tokens, const Rows& rows, const uint8_t* activations, float* results, size_t stride) {
    if (tokens == T) return Tile<R, T>(rows, activations, results, stride);
    if constexpr (T > 1) TileOf<R, T - 1>(tokens, rows, activations, results, stride);
  }

  template <size_t R, size_t T>
  static void RowTile(const Rows& rows, const ActivationsView& activations, float* results, size_t stride) {
    const auto* q = static_cast<const uint8_t*>(activations.packed);
    for (size_t first = 0, size = 0; first < activations.tokens; first += size) {
      size = T == 1 ? 1 : GroupSize(first, activations.tokens, T);  // a division takes a while
      TileOf<R, T>(size, rows, q + first * PackedTokenBytes(rows.cols), results + first * stride, stride);
    }
  }

  template <size_t R, size_t T>
  static void RowTiles(const Rows& rows, size_t row_count, const ActivationsView& activations, float* results,
                       size_t stride) {
    Rows tile = rows;
    tile.apart = row_count / R;
    for (size_t r = 0; r < tile.apart; ++r) RowTile<R, T>(tile.From(r), activations, results + r, stride);
    for (size_t r = tile.apart * R; r < row_count; ++r) RowTile<1, 1>(rows.From(r), activations, results + r, stride);
  }

  static void Dot(const Rows& rows, size_t row_count, const ActivationsView& activations, float* results,
                  size_t stride) {
    if (activations.tokens == 1) {
      RowTiles<Isa::kRowsOfOneToken, 1>(rows, row_count, activations, results, stride);
    } else {
      RowTiles<Isa::kRows, Isa::kTokens>(rows, row_count, activations, results, stride);
    }
  }
};

// Rows of NibblePair, int8 or uint8.
template <class Isa, class Stored, class Element>
void DotBlocksOf(const Element* rows, const BlocksView& view, size_t row_count, size_t cols,
                 const ActivationsView& activations, float* sums, size_t sums_stride) {
  const auto* values = reinterpret_cast<const uint8_t*>(rows);
  const uint8_t flip = Centre(rows) == 128 ? 0x80 : 0;
  const size_t stride = RowElements(rows, cols);
  if (view.scales != nullptr) {
    DotBlocked<Isa, Stored, float>::Dot({values, view.scales, view.zero_points, cols, stride, flip}, row_count,
                                        activations, sums, sums_stride);
  } else {
    DotBlocked<Isa, Stored, Half>::Dot({values, view.half_scales, view.zero_points, cols, stride, flip}, row_count,
                                       activations, sums, sums_stride);
  }
}

template <template <class Stored> class Isa>
constexpr BlockKernels kBlockKernels = {
    PackBlocks<Isa<Nibbles>>, PackBlocks<Isa<Bytes>>, DotBlocksOf<Isa<Nibbles>, Nibbles, NibblePair>,
    DotBlocksOf<Isa<Bytes>, Bytes, int8_t>, DotBlocksOf<Isa<Bytes>, Bytes, uint8_t>};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_BLOCKS_H_
