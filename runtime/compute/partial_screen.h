// Bounds of logits while the lower nibbles of a screen are read range after range of columns: most rows are out after
// the first range.
//
// Let S be the columns that were read. With D the errors of a row's upper nibbles and r those of both (0 for a quantised
// table), w = s * p' + D', where p' is q in S and p elsewhere, and D' is r in S and D elsewhere. Then
//   |D' * x| <= |r| * |x in S| + |D outside S| * |x outside S|                            (Cauchy-Schwarz, twice)
// and the lower nibbles l tell how much of |D|, the stored norm, lies in S: D = s * (l - 7.5) + r there, so
//   |D outside S|^2 = |D|^2 - |D in S|^2 and |D in S| >= |s| * |l - 7.5 in S| - |r|.
// All norms leave calibrated columns out, as the stored ones do. The terms for the rounding of hidden states and logits
// are those of screen.h, with |p'| <= 128 * sqrt(cols).
#ifndef TIED_RUNTIME_COMPUTE_PARTIAL_SCREEN_H_
#define TIED_RUNTIME_COMPUTE_PARTIAL_SCREEN_H_

#include <cstddef>
#include <cstdint>

#include "runtime/compute/head.h"
#include "runtime/compute/screen.h"

namespace tied::runtime {

class PartialScreen {
 public:
  // screen: after ReadUpper(). scratch: reserved for the batch.
  PartialScreen(const HeadBatch& batch, const Screen& screen, const ScreenScratch& scratch);

  // The ranges, in the order in which they are read: first those where hidden states are largest.
  size_t ranges() const { return count_; }
  size_t row_bytes(size_t range) const;

  // Products with the lower nibbles of rows[i] in a range: sums[t * stride + i]; and how far these are from 7.5.
  void Read(size_t range, const uint32_t* rows, size_t count, uint32_t* sums, size_t stride, uint32_t* spreads) const;

  // What is known of some rows beforehand, at most kMostRows.
  static constexpr size_t kMostRows = 512;
  struct Rows {
    const uint32_t* rows;
    size_t count;
    float scales[kMostRows];
    float upper_norms[kMostRows];
    float norms[kMostRows];
  };
  void Gather(const uint32_t* rows, size_t count, Rows* gathered) const;

  // Upper bounds of them from the sums over the first `read` ranges, fewer than all. Infinity for a row without a bound.
  void UpperBounds(size_t token, size_t read, const Rows& rows, const uint32_t* lower_sums, const uint32_t* spreads,
                   float* uppers) const;

 private:
  static constexpr size_t kMost = 4;

  struct Range {
    size_t first;
    size_t count;
    double squares[kScreenTokens];  // of each token's hidden state in these columns, without calibrated ones
    double energy;                  // the shares of the tokens' squares that are here, added
  };
  // Of a token, once some ranges were read.
  struct Terms {
    double read_norm;       // as TokenTerms::norm, in these ranges
    double unread_norm;     // and in the others
    double half_total;      // what turns 7.5 into 8 in the columns that were read
    uint32_t eight_totals;  // for kernels::CentredSum()
    int16_t column_activations[kScreenColumns];  // 0 where the column's lower nibble is exact
  };

  void SetRanges();
  void SetMask(const ScreenScratch& scratch);
  void SetTerms(size_t token);
  bool IsColumn(size_t k) const;

  const HeadBatch& batch_;
  const Screen& screen_;
  const ScreenView& view_;
  const void* const mask_;
  size_t count_ = 0;
  Range ranges_[kMost];
  size_t masked_[kMost];  // columns that count for spreads, in the ranges up to this one
  Terms terms_[kScreenTokens][kMost];
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_PARTIAL_SCREEN_H_
