// The definition of every result, in plain C++. The vector kernels must give the same bits.
//
// Dot product of a float row w, widened to float32, and hidden x, n columns:
//   1. kFloatLanes = 32 sums s[0..31] start at +0.
//   2. For k = 0, 1, …, up to the next multiple of 32:  s[k mod 32] = fma(w[k], x[k], s[k mod 32]),
//      where w[k] = x[k] = +0 for k >= n.
//   3. For h = 16, 8, 4, 2, 1:  s[j] += s[j + h] for j < h. The result is s[0].
//   fma and + round to nearest, ties to even, and keep subnormal numbers.
//
// Product of an int8 or uint8 row and activations: the exact integer.
//
// Product of a row of nibbles without scales and activations: the exact integer, modulo 2^32.
//
// Product of a row in blocks and activations q: block b has 32 columns, a scale c[b] and a zero point z[b]. Centred
// integers w are the stored ones minus 8 (nibbles), 0 (int8) or 128 (uint8); z is the zero point minus the same.
//   1. kBlockLanes = 16 sums s[0..15] start at +0.
//   2. For b = 0, 1, …:  s[b mod 16] = fma(c[b], v, s[b mod 16]), where v = float32(sum of w * q over the block). If
//   the
//      table has zero points, or is uint8, v = fma(-z[b], float32(sum of q over the block), float32(sum of w * q)).
//   3. s[j] += s[j + 8] for j < 8, then the same with 4, 2 and 1; the result is s[0] + 0, which turns -0 into +0.
//   Columns beyond the last are zeros of q. Sums of q are below 2^20; sums of w * q are below 2^23 for nibbles, and for
//   bytes at most 32 * 128 * 32512 < 2^27: float32() rounds these to nearest, ties to even, above 2^24.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/exponentials.h"
#include "kernels/float_formats.h"
#include "kernels/kernels.h"
#include "kernels/screen_bounds.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

void Pack(const float* hidden, size_t tokens, size_t cols, float* packed) {
  const size_t padded = PackedTokenSize(cols);
  std::memset(packed, 0, tokens * padded * sizeof(float));
  for (size_t t = 0; t < tokens; ++t) std::memcpy(packed + t * padded, hidden + t * cols, cols * sizeof(float));
}

template <size_t lanes>
float SumLanes(float (&sum)[lanes]) {
  for (size_t half = lanes / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) sum[j] += sum[j + half];
  }
  return sum[0];
}

template <class Element>
float DotRow(const Element* row, const float* hidden, size_t cols) {
  float sum[kFloatLanes] = {};
  const size_t padded = PackedTokenSize(cols);
  for (size_t k = 0; k < padded; ++k) {
    const float weight = k < cols ? Widen(row[k]) : 0.0f;
    sum[k % kFloatLanes] = std::fma(weight, hidden[k], sum[k % kFloatLanes]);
  }
  return SumLanes(sum);
}

template <class Element>
void Dot(const Element* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
         size_t logits_stride) {
  const size_t padded = PackedTokenSize(cols);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) {
      logits[t * logits_stride + r] = DotRow(rows + r * cols, packed + t * padded, cols);
    }
  }
}

void CopyActivations(const int16_t* activations, size_t tokens, size_t cols, void* packed) {
  std::memcpy(packed, activations, tokens * cols * sizeof(int16_t));
}

template <class Byte>
void DotRowsOfBytes(const Byte* rows, size_t row_count, size_t cols, const ActivationsView& activations, double* sums,
                    size_t sums_stride) {
  const auto* q = static_cast<const int16_t*>(activations.packed);
  for (size_t t = 0; t < activations.tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) {
      const Byte* row = rows + r * cols;
      int64_t sum = 0;
      for (size_t k = 0; k < cols; ++k) sum += row[k] * q[t * cols + k];
      sums[t * sums_stride + r] = static_cast<double>(sum);
    }
  }
}

template <class Element>
float DotRowOfBlocks(const Element* row, const BlocksView& blocks, size_t first_block, const int16_t* q, size_t cols) {
  float sum[kBlockLanes] = {};
  for (size_t b = 0; b < BlocksOf(cols); ++b) {
    int32_t products = 0, total = 0;
    for (size_t k = b * kBlockCols; k < cols && k < (b + 1) * kBlockCols; ++k) {
      products += (IntegerAt(row, k) - Centre(row)) * q[k];
      total += q[k];
    }
    auto value = static_cast<float>(products);
    if (blocks.HasZeroPoints(row)) {
      value = std::fma(-blocks.ZeroPoint(row, first_block + b), static_cast<float>(total), value);
    }
    float& lane = sum[b % kBlockLanes];
    lane = std::fma(blocks.Scale(first_block + b), value, lane);
  }
  return SumLanes(sum) + 0.0f;
}

template <class Element>
void DotRowsOfBlocks(const Element* rows, const BlocksView& blocks, size_t row_count, size_t cols,
                     const ActivationsView& activations, float* sums, size_t sums_stride) {
  const auto* q = static_cast<const int16_t*>(activations.packed);
  for (size_t t = 0; t < activations.tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) {
      const Element* row = rows + r * RowElements(rows, cols);
      sums[t * sums_stride + r] = DotRowOfBlocks(row, blocks, r * BlocksOf(cols), q + t * cols, cols);
    }
  }
}

void DotRowsOfNibbles(const NibbleRows& rows, size_t row_count, const void* packed, size_t tokens, uint32_t* sums,
                      size_t sums_stride, const NibbleSpreads* spreads) {
  const auto* q = static_cast<const int16_t*>(packed) + rows.first;
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) {
      const NibblePair* row = rows.Row(r);
      int64_t sum = 0;
      for (size_t k = 0; k < rows.count; ++k) sum += IntegerAt(row, k) * q[t * rows.cols + k];
      sums[t * sums_stride + r] = static_cast<uint32_t>(sum);
    }
  }
  for (size_t r = 0; spreads != nullptr && r < row_count; ++r) {
    const auto* mask = static_cast<const int16_t*>(spreads->mask) + rows.first;
    const NibblePair* row = rows.Row(r);
    int64_t sum = 0;
    for (size_t k = 0; k < rows.count; ++k) sum += kSpreads[IntegerAt(row, k)] * mask[k];
    spreads->sums[r] = static_cast<uint32_t>(sum);
  }
}

bool Available() { return true; }

constexpr ByteKernels kBytes = {CopyActivations, DotRowsOfBytes<int8_t>, DotRowsOfBytes<uint8_t>};
size_t TokenBytes(size_t cols) { return cols * sizeof(int16_t); }

struct Columns {
  static void FourRows(const int8_t* const (&rows)[4], const int16_t* columns, int32_t* sums) {
    for (size_t r = 0; r < 4; ++r) {
      sums[r] = 0;
      for (size_t k = 0; k < kBoundColumns; ++k) sums[r] += rows[r][k] * columns[k];
    }
  }
};

constexpr NibbleKernels kNibbles = {CopyActivations, TokenBytes, DotRowsOfNibbles, &kBoundKernels<Columns>};

}  // namespace

const BlockKernels kScalarBlocks = {CopyActivations, CopyActivations, DotRowsOfBlocks<NibblePair>,
                                    DotRowsOfBlocks<int8_t>, DotRowsOfBlocks<uint8_t>};
const FloatKernels kScalarFloats = {Pack, Dot<float>, Dot<Half>, Dot<BFloat16>};
const Kernels kScalar = {"scalar",       Available, &kScalarFloats,  &kBytes,
                         &kScalarBlocks, &kNibbles, ExpsOfNegatives, {/*float32=*/4, /*widened=*/4}};

}  // namespace tied::kernels
