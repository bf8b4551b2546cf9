// The table of kernels: one set of plain functions for each instruction set, the same signature in each.
//
// scalar.cc defines every result. The other sets reproduce it bit for bit (a NaN may differ in sign and payload), for
// any split of rows and tokens over calls. Kernels own nothing, allocate nothing, start no thread and know no file.
#ifndef TIED_KERNELS_KERNELS_H_
#define TIED_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace tied::kernels {

// A dot product is summed in this many interleaved lanes: lane j takes elements j, j + 8, j + 16, … Eight is one
// AVX register: a tile of many sums then needs the fewest loads, which is what limits many tokens at once.
inline constexpr size_t kLanes = 8;

// Number of floats that `tokens` hidden states of `cols` elements take when packed.
size_t PackedHiddenSize(size_t tokens, size_t cols);

struct Kernels {
  const char* isa;

  // True if the CPU that this runs on, as cpuinfo sees it, has the instructions. cpuinfo is initialised by Select().
  bool (*available)();

  // Lays hidden [tokens, cols] out as dot_f32 of the same set reads it, padded with zeros to whole lanes.
  // packed: PackedHiddenSize(tokens, cols) floats, aligned to 64 bytes.
  void (*pack_hidden)(const float* hidden, size_t tokens, size_t cols, float* packed);

  // logits[t * logits_stride + r] = dot(rows[r, :], hidden[t, :]), r < row_count, t < tokens.
  // rows: [row_count, cols], dense, aligned to 4 bytes; nothing behind the last element is read.
  void (*dot_f32)(const float* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride);

  // From this many tokens on, XNNPACK's order of summation is faster than dot_f32 (docs/performance.md).
  size_t xnnpack_min_tokens;
};

// For sets that XNNPACK does not beat at any number of tokens.
inline constexpr size_t kNeverXnnpack = SIZE_MAX;

// Every set that this build has, slowest first: a null-terminated array.
const Kernels* const* AllKernels();

// The fastest set that the CPU has, or the one that the environment variable TIED_ISA names.
// Null if that one is unknown or the CPU lacks it. Decided once; safe from any thread.
const Kernels* SelectKernels();

}  // namespace tied::kernels

#endif  // TIED_KERNELS_KERNELS_H_
