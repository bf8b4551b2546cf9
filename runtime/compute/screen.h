// Bounds of all logits from the planes of a screen, for a few tokens at a time.
//
// A row is w = s * (p + d): s is its scale, p = 16 * upper + 7.5 - 128 its approximation by upper nibbles, and s * d
// the error. The better approximation by both nibbles has q = 16 * upper + lower - 128 in place of p. A hidden state is
// x = c * (i + e): 16-bit integers i and their rounding errors e. Then
//   w * x = s * c * (p * i) + (s * d) * x + s * p * (c * e), so
//   |w * x - s * c * (p * i)| <= |s * d| * |x| + |s| * |p| * |c * e|                     (Cauchy-Schwarz, twice)
// where |p| <= 16 * 7.54 * sqrt(cols) and |q| <= 128 * sqrt(cols). A float table's own logit is within gamma * |w| *
// |x| of w * x (Higham 2002, 3.1), |w| <= |s * p| + |s * d|. A quantised table's logit is s * c * (q * i), rounded
// once.
//
// With calibrated columns, w has a third part there, t * v with int8 v: its product with i is added, and the error that
// remains is at most t / 2 in each of these columns, so |s * d| * |x| becomes
//   norm of the other columns' errors * |x without these columns| + 16^(1/2) * t / 2 * |x in these columns|.
#ifndef TIED_RUNTIME_COMPUTE_SCREEN_H_
#define TIED_RUNTIME_COMPUTE_SCREEN_H_

#include <pthreadpool.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "runtime/compute/head.h"
#include "runtime/compute/scratch.h"

namespace tied::runtime {

// Tokens that are screened together.
inline constexpr size_t kScreenTokens = 8;

// Rows of a chunk, whose bounds are summarised in two numbers.
inline constexpr size_t kChunkRows = 64;

// A logit has no bound if a float32 kernel may overflow while it computes it.
inline constexpr float kLargestLogit = 1e38f;

using kernels::kFloatRounding;
inline float RoundedUp(double term) { return static_cast<float>(term) * (1 + static_cast<float>(kFloatRounding)); }

// What both planes together will tell about rows is estimated from one chunk of so many. They are closer to a row than
// the upper plane by a factor of up to 16.
inline constexpr size_t kSampledChunks = 8;
inline constexpr float kNarrower = 12;

// Roundings of subnormal sums, 2^-150 each, of at most kMaxScreenedCols + 7; also of subnormal terms of a bound.
inline constexpr double kTiny = 0x1p-120;

// A row that may be among the best, and its upper bound, or its logit if the table is quantised.
struct Survivor {
  float upper;
  uint32_t row;
};

// A logit is in [upper - 2 * deviation, upper]. upper is infinite if there is no bound.
struct LogitBounds {
  float upper;
  float deviation;
};

// Rows that are left for a token, sums over those of their lower nibbles that were read, and scratch space for their
// bounds: too large for a stack.
struct RefinedRows {
  static constexpr size_t kMost = 2048;

  size_t count;
  uint32_t rows[kMost];
  uint32_t sums[kMost];
  uint32_t spreads[kMost];
  float uppers[kMost];
  LogitBounds bounds[kMost];
  Survivor survivors[kMost];

  // The sums of one range, before they are added to those above.
  uint32_t range_sums[kMost];
  uint32_t range_spreads[kMost];

  // What is known of each row without its lower nibbles.
  uint32_t upper_sums[kMost];
  float offsets[kMost];
  float scales[kMost];
  float upper_norms[kMost];
  float norms[kMost];
  int32_t column_sums[kMost];
  float column_scales[kMost];
  float biases[kMost];

  // Appends those of `run` rows from `first` on whose bound reaches the threshold. There must be room for all of them.
  void Append(size_t first, size_t run, const float* bounds_of_run, float threshold) {
    size_t end = count;
    for (size_t r = 0; r < run; ++r) {
      rows[end] = static_cast<uint32_t>(first + r);
      end += bounds_of_run[r] < threshold ? 0 : 1;
    }
    count = end;
  }
  // Keeps the rows whose bound reaches the threshold.
  void Keep(float threshold);
};

struct ScreenScratch {
  ScratchArray<uint32_t> sums;              // [tokens, rows]: products with the upper nibbles, modulo 2^32
  ScratchArray<float> uppers;               // [tokens, rows]: upper bounds from these
  ScratchArray<float> chunk_uppers;         // [tokens, chunks]: the largest of them
  ScratchArray<float> chunk_middles;        // [tokens, chunks]: the largest approximate logit
  ScratchArray<Survivor> survivors;         // [tokens, rows]
  ScratchArray<uint32_t> chunk_order;       // [chunks]
  ScratchArray<unsigned char> row_buffers;  // [workers, row_bytes]
  ScratchArray<RefinedRows> refined;        // [workers]
  ScratchArray<uint32_t> whole_sums;        // [workers, tokens, RefinedRows::kMost]: products with the lower nibbles
  ScratchArray<int16_t> mask;               // [cols]
  ScratchArray<unsigned char> mask_memory;

  // The mask, packed as activations; aligned to 64 bytes.
  void* packed_mask() const;

  bool Reserve(const TableView& table, size_t tokens, size_t workers);
};

// What bounds the logits of one token (see above), with all roundings: n operations in float64 cost a factor of
// 1 + n * 2^-53, those in float32 kFloatRounding.
struct TokenTerms {
  double scale;       // c
  double total;       // sum of i
  double norm;        // of x and of c * i outside the calibrated columns, with the rounding errors of a float32 kernel
  double slack;       // the error of a row with scale 1 and no residual, upper approximation
  double full_slack;  // likewise, both planes
  double partial_slack;   // likewise, some of the lower plane
  double column_slack;    // the error of a row with column scale 1
  double half_columns;    // what lower nibbles of 8 add to the centre, 7.5, in the calibrated columns
  double reach;           // at least |p| * |x| for either approximation
  uint32_t eight_totals;  // for kernels::CentredSum()
  int16_t column_activations[kScreenColumns];
  double lost;  // the parts of `norm` that are rounding errors
  double up;    // above the relative error of a norm

  // As `norm`, for columns in which the squares of the hidden state sum to `squares`.
  double NormOf(double squares) const { return (std::sqrt(squares) * up + kTiny + lost) * (1 + 2 * kFloatRounding); }
};

class Screen {
 public:
  // batch: at most kScreenTokens tokens, for a table with a screen; scratch: reserved for it.
  Screen(pthreadpool_t pool, const HeadBatch& batch, ScreenScratch* scratch);

  // Reads the upper nibbles of all allowed rows: fills sums and chunks.
  void ReadUpper();

  // Chunks of kChunkRows rows.
  size_t chunks() const { return (batch_.table.rows + kChunkRows - 1) / kChunkRows; }
  float chunk_upper(size_t token, size_t chunk) const { return scratch_.chunk_uppers[token * chunks() + chunk]; }
  float chunk_middle(size_t token, size_t chunk) const { return scratch_.chunk_middles[token * chunks() + chunk]; }

  // Calls run(first, count) for each run of allowed rows in a chunk, in ascending order.
  template <class Run>
  void ForEachRun(size_t chunk, const Run& run) const {
    const size_t first = chunk * kChunkRows;
    batch_.filter.ForEachRun(first, std::min(kChunkRows, batch_.table.rows - first), run);
  }

  // Upper bounds and approximate logits of `count` <= kChunkRows rows. Infinity for a row without a bound.
  void UpperBounds(size_t token, size_t first, size_t count, float* uppers, float* middles) const;

  // Upper bounds from both planes. lower_sums: the rows' products with the lower nibbles.
  void BoundsFromBoth(size_t token, size_t first, size_t count, const uint32_t* lower_sums, float* uppers) const;

  // The upper bounds that ReadUpper() found.
  const float* uppers(size_t token) const { return scratch_.uppers.get() + token * batch_.table.rows; }

  // Bounds from both planes of rows whose products with the lower nibbles are given; quantised tables get their logits,
  // which deviate by 0.
  void BoundsOf(size_t token, const uint32_t* rows, size_t count, const uint32_t* lower_sums,
                LogitBounds* bounds) const;
  // Both of these for `count` <= kChunkRows rows and one token.
  void Refine(size_t token, const uint32_t* rows, size_t count, LogitBounds* bounds) const;

  // The packed activations of a token.
  const void* packed(size_t token) const {
    const size_t token_bytes = batch_.kernels->nibbles->token_bytes(batch_.table.cols);
    return static_cast<const unsigned char*>(batch_.packed->activations().packed) + token * token_bytes;
  }
  const TokenTerms& terms(size_t token) const { return terms_[token]; }
  // The products that ReadUpper() found.
  const uint32_t* sums(size_t token) const { return scratch_.sums.get() + token * batch_.table.rows; }

  // What the sum of a row lacks after 8 was subtracted from each nibble: the centre of the lower nibbles, and the zero
  // point of the stored integers. total: the sum of the activations.
  static float OffsetOf(const TableView& table, double total, size_t row);

  // The terms of bounds in float32.
  kernels::BoundTerms FloatTerms(size_t token, double unread_norm, double slack) const;

  // Bytes of the screen that ReadUpper() and ReadLower() read for a row.
  size_t upper_row_bytes() const;
  size_t lower_row_bytes() const { return view_.row_bytes + lower_norm_bytes(); }
  size_t lower_norm_bytes() const { return view_.norms == nullptr ? 0 : sizeof(float); }

 private:
  // What is known of the rows of a run, where the table has no array of it.
  struct RowScratch {
    float scales[kChunkRows];
    float offsets[kChunkRows];
    float norms[kChunkRows];
    int32_t column_sums[kChunkRows];
  };
  kernels::BoundRows RowsOfRun(size_t token, size_t first, size_t count, RowScratch* scratch) const;
  void OffsetsOf(double total, size_t first, size_t count, float* offsets) const;
  void SumUp(size_t chunk) const;
  LogitBounds FloatBounds(size_t token, size_t row, uint32_t lower_sum, int32_t column_sum) const;
  float QuantisedLogit(size_t token, size_t row, uint32_t lower_sum) const;
  double Sum(size_t token, size_t row, uint32_t lower_sum) const;
  double BiasOf(size_t row) const { return batch_.bias == nullptr ? 0.0 : static_cast<double>(batch_.bias[row]); }

  pthreadpool_t const pool_;
  const HeadBatch& batch_;
  const ScreenView& view_;
  ScreenScratch& scratch_;
  TokenTerms terms_[kScreenTokens];
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREEN_H_
