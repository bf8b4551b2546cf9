// The table of kernels: one set of plain functions for each instruction set, with the same signatures. The element type
// of a row is part of the signature, so that the compiler refuses swapped functions.
//
// scalar.cc defines every result. The other sets reproduce it bit for bit (a NaN may differ in sign and payload), for
// any split of rows and tokens into calls. Kernels own nothing, allocate nothing, start no threads and access no files.
#ifndef TIED_KERNELS_KERNELS_H_
#define TIED_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/float_formats.h"
#include "kernels/int_formats.h"

namespace tied::kernels {

// A dot product of floats is summed in this many interleaved lanes: lane j takes elements j, j + 32, j + 64, … That is
// enough independent additions for one row at a time to be read at the speed of memory (docs/kernels.md).
inline constexpr size_t kFloatLanes = 32;

// Most roundings that a term of such a dot product goes through: one for each element of its lane, and five for the sum
// of the lanes.
constexpr size_t FloatRoundings(size_t cols) { return (cols + kFloatLanes - 1) / kFloatLanes + 5; }

// Floats in a packed hidden state of `cols` elements: rounded up to a multiple of kFloatLanes.
size_t PackedTokenSize(size_t cols);

// Floats in `tokens` packed hidden states.
size_t PackedHiddenSize(size_t tokens, size_t cols);

// Lays hidden [tokens, cols] out as the dot products of the same set read it, padded with zeros to whole lanes.
// packed: PackedHiddenSize(tokens, cols) floats, aligned to 64 bytes.
using PackHidden = void(const float* hidden, size_t tokens, size_t cols, float* packed);

// logits[t * logits_stride + r] = dot(rows[r, :], hidden[t, :]), r < row_count, t < tokens.
// rows: float, Half or BFloat16 [row_count, cols], dense; nothing after the last element is read.
template <class Element>
using DotFloats = void(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens,
                       float* logits, size_t logits_stride);

// A product of a row in blocks is summed in kBlockLanes lanes: lane j takes blocks j, j + 16, …
inline constexpr size_t kBlockLanes = 16;

// Bytes that `tokens` hidden states of `cols` elements take as packed activations.
size_t PackedActivationsSize(size_t tokens, size_t cols);

// Lays the activations [tokens, cols] of QuantiseHidden() out as the products of the same set read them.
// packed: PackedActivationsSize(tokens, cols) bytes, aligned to 64 bytes.
using PackActivations = void(const int16_t* activations, size_t tokens, size_t cols, void* packed);

// Packed activations of several tokens.
struct ActivationsView {
  const void* packed;
  const double* totals;  // [tokens]: the sum of each token's activations
  size_t tokens;
};

// sums[t * sums_stride + r] = sum over k of rows[r, k] * activations[t, k]: an integer, exact.
// rows: int8 or uint8 [row_count, cols]; nothing after the last element is read.
template <class Byte>
using DotBytes = void(const Byte* rows, size_t row_count, size_t cols, const ActivationsView& activations, double* sums,
                      size_t sums_stride);

// sums[t * sums_stride + r]: the product of a row in blocks and activations, without the activations' scale (see
// scalar.cc). rows: NibblePair, int8 or uint8 [row_count, RowElements()], dense; nothing after the last element is
// read.
template <class Element>
using DotBlocks = void(const Element* rows, const BlocksView& blocks, size_t row_count, size_t cols,
                       const ActivationsView& activations, float* sums, size_t sums_stride);

// A range of columns in rows of nibbles starts at a multiple of this many.
inline constexpr size_t kNibbleRangeCols = 128;

// Columns first … first + count of rows of nibbles without scales: row r of a call is row ids[r] of `values`, or row r
// if ids is null.
struct NibbleRows {
  const NibblePair* values;  // dense, RowElements() each
  const uint32_t* ids;
  size_t cols;  // of a whole row
  size_t first;
  size_t count;

  static NibbleRows Whole(const void* values, const uint32_t* ids, size_t cols) {
    return {static_cast<const NibblePair*>(values), ids, cols, 0, cols};
  }
  const NibblePair* Row(size_t r) const {
    return values + (ids == nullptr ? r : size_t{ids[r]}) * RowElements(values, cols) + first / 2;
  }
};

// Where to write how far the nibbles of some columns are from 7.5: sums[r] = sum over k of mask[k] * kSpreads[nibble k
// of row r].
struct NibbleSpreads {
  const void* mask;  // one token of activations, 0 or 1, packed
  uint32_t* sums;
};

// (2 * nibble - 15)^2 = 8 * kSpreads[nibble] + 1.
constexpr uint8_t kSpreads[16] = {28, 21, 15, 10, 6, 3, 1, 0, 0, 1, 3, 6, 10, 15, 21, 28};

// sums[t * sums_stride + r] = sum over the columns k of nibble k of row r * activations[t, k], modulo 2^32.
// packed: `tokens` activations of whole rows, by the PackActivations of the same group. spreads: may be null.
using DotNibbles = void(const NibbleRows& rows, size_t row_count, const void* packed, size_t tokens, uint32_t* sums,
                        size_t sums_stride, const NibbleSpreads* spreads);

// Calibrated columns of a screen.
inline constexpr size_t kBoundColumns = 16;

// A bound in float32 is the sum of at most 12 terms, with 12 roundings.
inline constexpr double kFloatRounding = 0x1p-20;

// What bounds one token's logits (runtime/compute/screen.h). All terms are rounded up.
struct BoundTerms {
  uint32_t eight_totals;  // for CentredSum()
  float scale;            // of sums
  float unread_norm;      // of the hidden state where lower nibbles were not read
  float slack;            // the error of a row with scale 1 and no residual
  float column_slack;     // the error of a row with column scale 1
  float reach;            // at least the largest intermediate sum of a logit of a row with scale 1
  float tiny;
  float farthest;  // a row that may have a larger intermediate sum has no bound
};

// The rows of which bounds are computed, an element of each array for each row.
struct BoundRows {
  const uint32_t* sums;  // of upper nibbles
  const float* offsets;  // what they lack after 8 was subtracted from each nibble
  const float* scales;
  const float* upper_norms;
  const float* norms;          // of the errors of both nibbles; null if no lower nibbles were read
  const int32_t* column_sums;  // of ColumnSums(); null: no calibrated columns
  const float* column_scales;
  const float* biases;  // null: none

  BoundRows From(size_t row) const {
    const auto from = [row](auto* array) { return array == nullptr ? nullptr : array + row; };
    return {from(sums),  from(offsets),     from(scales),        from(upper_norms),
            from(norms), from(column_sums), from(column_scales), from(biases)};
  }
};

// Sums over the lower nibbles of the ranges of columns that were read.
struct LowerSums {
  const uint32_t* sums;     // of each row
  const uint32_t* spreads;  // of each row (NibbleSpreads); null if all columns were read
  uint32_t eight_totals;    // for CentredSum()
  float half_total;         // turns 7.5 into 8 there
  float masked;             // the number of columns that spreads count
  float read_norm;          // of the hidden state there
};

// Upper bounds of `count` rows, infinite where there is none: if the bound is NaN, the row's upper norm is negative or
// NaN, or an intermediate sum may reach `farthest`.
struct BoundKernels {
  // From upper nibbles. middles: the approximate logits.
  void (*from_upper)(const BoundTerms& terms, const BoundRows& rows, size_t count, float* middles, float* uppers);
  // From upper nibbles, and lower ones of some columns or of all.
  void (*from_part)(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                    float* uppers);
  void (*from_both)(const BoundTerms& terms, const BoundRows& rows, const LowerSums& lower, size_t count,
                    float* uppers);
  // sums[r] = the product of `columns` and the kBoundColumns values of row ids[r], or of row r if ids is null.
  void (*column_sums)(const int8_t* values, const uint32_t* ids, size_t count, const int16_t* columns, int32_t* sums);
  // The largest value that is not NaN; -infinity if there is none.
  float (*largest)(const float* values, size_t count);
};

// Replaces each x <= 0 by exp(x) (kernels/exponentials.h).
using Exps = void(double* x, size_t count);

// The functions of a set for each kind of table: one packs hidden states, the others multiply rows with them.
struct FloatKernels {
  PackHidden* pack;
  DotFloats<float>* f32;
  DotFloats<Half>* f16;
  DotFloats<BFloat16>* bf16;
};

struct ByteKernels {
  PackActivations* pack;
  DotBytes<int8_t>* i8;
  DotBytes<uint8_t>* u8;
};

struct BlockKernels {
  PackActivations* pack_for_nibbles;
  PackActivations* pack_for_bytes;
  DotBlocks<NibblePair>* i4;
  DotBlocks<int8_t>* i8;
  DotBlocks<uint8_t>* u8;
};

struct NibbleKernels {
  PackActivations* pack;
  size_t (*token_bytes)(size_t cols);  // of the packed activations of one token
  DotNibbles* dot;
  const BoundKernels* bounds;
};

// For sets that XNNPACK does not beat at any number of tokens.
inline constexpr size_t kNeverXnnpack = SIZE_MAX;

// From this many tokens on, XNNPACK is faster (docs/performance.md).
struct XnnpackMinTokens {
  size_t float32 = kNeverXnnpack;
  size_t widened = kNeverXnnpack;  // for tables of other types, whose rows are widened to float32 first
};

struct Kernels {
  const char* isa;

  // True if this CPU has the instructions, and the set is made for CPUs like it. CpuinfoWorks() must have been called
  // before.
  bool (*available)();

  // Sets may share them.
  const FloatKernels* floats;
  const ByteKernels* bytes;
  const BlockKernels* blocks;
  const NibbleKernels* nibbles;
  Exps* exps;

  XnnpackMinTokens xnnpack_min_tokens = {};
};

// All sets in this build, slowest first: a null-terminated array.
const Kernels* const* AllKernels();

// The set named `forced`, or the fastest that this CPU supports if `forced` is null or "". Null if the name is unknown
// or the CPU does not support that set.
const Kernels* ChooseKernels(const char* forced);

// ChooseKernels() with the environment variable TIED_ISA, read once. Thread-safe.
const Kernels* SelectKernels();

}  // namespace tied::kernels

#endif  // TIED_KERNELS_KERNELS_H_
