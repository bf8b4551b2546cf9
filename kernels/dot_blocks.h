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

// Packed activations of a token, padded with zeros to a multiple of 16 blocks:
//   for each step of Isa::kStepBlocks blocks: 64 bytes a block in the order of the weights, then the number that each
//     part of each block starts with, which subtracts the centre from the stored integers;
//   after the last step: the sum of each block's activations as a float.
inline constexpr size_t kPackedBlockBytes = 2 * kBlockCols + kBlockParts * sizeof(int32_t);
inline constexpr size_t kPackedBytes = kPackedBlockBytes + sizeof(float);

inline __attribute__((always_inline)) size_t PaddedBlocks(size_t cols) {
  return (BlocksOf(cols) + kBlockLanes - 1) / kBlockLanes * kBlockLanes;
}
inline __attribute__((always_inline)) size_t PackedTokenBytes(size_t cols) { return PaddedBlocks(cols) * kPackedBytes; }

// Writes the sums of a block with the activations q[32].
template <class Stored>
void PackSums(const int16_t* q, int32_t* starts, float* total) {
  int32_t sums[kBlockParts] = {};
  for (size_t plane = 0; plane < kPlanes; ++plane) {
    for (size_t byte = 0; byte < kPlaneBytes; ++byte) sums[byte / 4] += q[Stored::Column(plane, byte)];
  }
  for (size_t j = 0; j < kBlockParts; ++j) starts[j] = -Stored::kCentre * sums[j];
  *total = static_cast<float>(sums[0] + sums[1] + sums[2] + sums[3]);
}

// Isa::PackBlock<Stored>(q, step, i) writes the activations of block number i of a step.
template <class Isa, class Stored>
void PackBlocks(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
  constexpr size_t kStepBytes = Isa::kStepBlocks * kPackedBlockBytes;
  const size_t blocks = PaddedBlocks(cols);
  auto* token = static_cast<uint8_t*>(packed);
  for (size_t t = 0; t < tokens; ++t, token += PackedTokenBytes(cols)) {
    for (size_t b = 0; b < blocks; ++b) {
      const size_t first = b * kBlockCols, i = b % Isa::kStepBlocks;
      int16_t q[kBlockCols] = {};
      for (size_t k = 0; k < kBlockCols && first + k < cols; ++k) q[k] = activations[t * cols + first + k];
      uint8_t* step = token + b / Isa::kStepBlocks * kStepBytes;
      Isa::template PackBlock<Stored>(q, step, i);
      int32_t starts[kBlockParts];
      float total;
      PackSums<Stored>(q, starts, &total);
      std::memcpy(step + Isa::kStepBlocks * 2 * kBlockCols + i * sizeof starts, starts, sizeof starts);
      std::memcpy(token + blocks * kPackedBlockBytes + b * sizeof total, &total, sizeof total);
    }
  }
}

// The layout for 16-bit products: four vectors of words for the even and the odd bytes of both planes.
template <class Stored, size_t step_blocks>
void PackAsBlockWords(const int16_t* q, uint8_t* step, size_t block) {
  constexpr size_t kWords = kPlaneBytes / 2;
  for (size_t v = 0; v < 4; ++v) {
    int16_t words[kWords];
    for (size_t i = 0; i < kWords; ++i) words[i] = q[Stored::Column(v % 2, 2 * i + v / 2)];
    std::memcpy(step + (v * step_blocks + block) * sizeof words, words, sizeof words);
  }
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

// Isa computes steps of kStepBlocks blocks. It has
//   Vec: the sums of a step, of which kSums = 4 / kStepBlocks make 16 lanes; Zero() and Total();
//   Weights: Load(Stored, pointer, bits to flip), and LoadTail(…, bytes), which reads no more than `bytes`;
//   LoadActivations(pointer), and Parts(weights, activations) of a step;
//   Scales of four steps: LoadScales(pointer, blocks), and MulAdd<step>(scales, parts, sums);
//   Offsets(Stored, scales, zero points, bits to flip, blocks), and AddProduct(offsets, totals, sums).
template <class Isa, class Stored, class Scale>
struct DotBlocked {
  using Rows = BlockRows<Stored, Scale>;
  using Vec = typename Isa::Vec;
  static constexpr size_t kSums = kBlockLanes / kBlockParts / Isa::kStepBlocks;
  static constexpr size_t kSteps = 4;  // share a vector of scales
  static constexpr size_t kQuadBlocks = kSteps * Isa::kStepBlocks;
  static constexpr size_t kRowBytes = Isa::kStepBlocks * Stored::kBlockBytes;
  // Bytes to prefetch ahead, the fastest on Zen 5: rows are shorter than a page, and a tile reads several streams.
  // Prefetching past the end of a table is harmless.
  static constexpr size_t kAhead = 4096;
  static constexpr size_t kLine = 64;
  static constexpr size_t kScaleShare = Stored::kBlockBytes / sizeof(Scale);
  static constexpr size_t kPackedStep = Isa::kStepBlocks * kPackedBlockBytes;

  template <size_t R, size_t T>
  struct Sums {
    Vec at[R][T][kSums];
  };

  // One step of all rows and tokens; `number` is that of the step among those that share a vector of scales.
  template <size_t number, bool tail, size_t R, size_t T>
  static inline __attribute__((always_inline)) void Step(const Rows& rows, size_t step, const uint8_t* activations,
                                                         const typename Isa::Scales (&scales)[R], Sums<R, T>& sums) {
    const size_t token_bytes = PackedTokenBytes(rows.cols);
    typename Isa::Weights weights[R];
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      // Two statements, so that the second sum becomes a part of the instructions.
      const uint8_t* first = rows.values + r * rows.apart * rows.stride + (step - number) * kRowBytes;
      const uint8_t* values = first + number * kRowBytes;
      if constexpr (number * kRowBytes % kLine == 0) {
        TIED_UNROLL for (size_t i = 0; i < kRowBytes; i += kLine) __builtin_prefetch(values + kAhead + i);
      }
      if constexpr (tail) {
        weights[r] = Isa::LoadTail(Stored(), values, rows.flip, rows.stride - step * kRowBytes);
      } else {
        weights[r] = Isa::Load(Stored(), values, rows.flip);
      }
    }
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      const auto q = Isa::LoadActivations(activations + t * token_bytes + step * kPackedStep);
      TIED_UNROLL for (size_t r = 0; r < R; ++r) {
        Vec& sum = sums.at[r][t][number % kSums];
        sum = Isa::template MulAdd<number>(scales[r], Isa::Parts(weights[r], q), sum);
      }
    }
  }

  // Steps number, number + 1, … of the four that share a vector of scales, as far as the rows go.
  template <size_t number, bool whole, size_t R, size_t T>
  static inline __attribute__((always_inline)) void Steps(const Rows& rows, size_t first, const uint8_t* activations,
                                                          const typename Isa::Scales (&scales)[R], Sums<R, T>& sums) {
    const size_t step = first + number;
    if (whole || (step + 1) * kRowBytes <= rows.stride) {
      Step<number, false>(rows, step, activations, scales, sums);
    } else {
      if (step * kRowBytes < rows.stride) Step<number, true>(rows, step, activations, scales, sums);
      return;
    }
    if constexpr (number + 1 < kSteps) Steps<number + 1, whole>(rows, first, activations, scales, sums);
  }

  template <bool whole, size_t R, size_t T>
  static inline __attribute__((always_inline)) void Quad(const Rows& rows, size_t block, const uint8_t* activations,
                                                         Sums<R, T>& sums) {
    const size_t left = rows.blocks() - block;
    typename Isa::Scales scales[R];
    TIED_UNROLL for (size_t r = 0; r < R; ++r) {
      const Scale* row = rows.scales + r * rows.apart * rows.blocks() + block;
      __builtin_prefetch(reinterpret_cast<const char*>(row) + kAhead / kScaleShare);
      scales[r] = Isa::template LoadScales<whole>(row, left);
    }
    Steps<0, whole>(rows, block / Isa::kStepBlocks, activations, scales, sums);
  }

  // Adds the products of the zero points of kBlockLanes blocks of a row, or of as many as are left, and the sums of
  // their activations.
  template <bool whole, size_t T>
  static inline __attribute__((always_inline)) void AddOffsets(const Rows& rows, size_t first,
                                                               const uint8_t* activations, Vec (&sums)[T][kSums]) {
    const size_t token_bytes = PackedTokenBytes(rows.cols);
    const auto* totals = reinterpret_cast<const float*>(activations + PaddedBlocks(rows.cols) * kPackedBlockBytes);
    if (rows.zero_points != nullptr) __builtin_prefetch(rows.zero_points + first + kAhead / Stored::kBlockBytes);
    TIED_UNROLL for (size_t i = 0; i < kSums; ++i) {
      const size_t block = first + i * kQuadBlocks;
      if (!whole && block >= rows.blocks()) break;
      const size_t left = rows.blocks() - block;
      const Vec offsets = Isa::template Offsets<whole>(
          Stored(), Isa::template LoadScales<whole>(rows.scales + block, left),
          rows.zero_points == nullptr ? nullptr : rows.zero_points + block, rows.flip, left);
      TIED_UNROLL for (size_t t = 0; t < T; ++t) {
        const auto* total =
            reinterpret_cast<const float*>(reinterpret_cast<const uint8_t*>(totals + block) + t * token_bytes);
        sums[t][i] = Isa::AddProduct(offsets, total, sums[t][i]);
      }
    }
  }

  // kBlockLanes blocks, or as many as are left. The first `ready` blocks of a row are in whole quads.
  template <bool whole, size_t R, size_t T>
  static inline __attribute__((always_inline)) void Group(const Rows& rows, size_t first, size_t ready,
                                                          const uint8_t* activations, Sums<R, T>& sums) {
    if (rows.zero_points != nullptr || rows.flip != 0) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) {
        AddOffsets<whole>(rows.From(r * rows.apart), first, activations, sums.at[r]);
      }
    }
    for (size_t block = first; block < first + kBlockLanes; block += kQuadBlocks) {
      if (whole || block + kQuadBlocks <= ready) {
        Quad<true>(rows, block, activations, sums);
      } else {
        if (block < rows.blocks()) Quad<false>(rows, block, activations, sums);
        return;
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
    const size_t ready = rows.stride / kRowBytes / kSteps * kQuadBlocks;
    size_t block = 0;
    for (; block + kBlockLanes <= ready; block += kBlockLanes) Group<true>(rows, block, ready, activations, sums);
    if (block < rows.blocks()) Group<false>(rows, block, ready, activations, sums);
    TIED_UNROLL for (size_t t = 0; t < T; ++t) {
      TIED_UNROLL for (size_t r = 0; r < R; ++r) results[t * stride + r * rows.apart] = Isa::Total(sums.at[r][t]);
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
      size = GroupSize(first, activations.tokens, T);
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

template <class Isa>
constexpr BlockKernels kBlockKernels = {PackBlocks<Isa, Nibbles>, PackBlocks<Isa, Bytes>,
                                        DotBlocksOf<Isa, Nibbles, NibblePair>, DotBlocksOf<Isa, Bytes, int8_t>,
                                        DotBlocksOf<Isa, Bytes, uint8_t>};

}  // namespace
}  // namespace tied::kernels

#endif  // TIED_KERNELS_DOT_BLOCKS_H_
