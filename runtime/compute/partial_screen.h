// Bounds of logits while the lower nibbles of a screen are read, one range of columns after the other: most rows are
// ruled out after the first range.
//
// Let S be the columns that were read; w, s, p, q and x are those of screen.h. D is the error of a row's upper nibbles,
// and r that of both (0 for a quantised table). Then w = s * p' + D', where p' is q in S and p elsewhere, and D' is r
// in S and D elsewhere, and
//   |D' * x| <= |r| * |x in S| + |D outside S| * |x outside S|                            (Cauchy-Schwarz, twice).
// |D| is the stored norm. The lower nibbles l tell how much of it lies in S, where D = s * (l - 7.5) + r:
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
  // Packs the mask of the columns that spreads count: all but the calibrated ones.
  PartialScreen(const HeadBatch& batch, const Screen& screen, const ScreenScratch& scratch);

  // Sets the terms of a token. Needed before the other functions are called for it.
  void SetToken(size_t token);

  // Tokens have the same ranges, but each reads them in its own order: first those where its hidden state is largest.
  size_t ranges() const { return count_; }
  size_t row_bytes(size_t range) const;
  size_t range_of(size_t token, size_t i) const { return tokens_[token].order[i]; }

  // Prefetches what SetUpperBounds() needs to know of the rows of a chunk beforehand.
  void PrefetchChunk(size_t token, size_t first_row) const;

  // Reads the lower nibbles of a range: adds their products to the rows' sums, and how far they are from 7.5 to the
  // rows' spreads.
  void Read(size_t token, size_t range, RefinedRows* rows) const;

  // Sets the rows' upper bounds from the sums over the first `read` ranges, fewer than all. Infinity for a row without
  // a bound.
  void SetUpperBounds(size_t token, size_t read, RefinedRows* rows) const;

  static constexpr size_t kMostRanges = 4;

 private:
  // What holds after the first i + 1 ranges of the order were read.
  struct Terms {
    double read_norm;                            // as TokenTerms::norm, in the ranges that were read
    double unread_norm;                          // likewise, in the others
    double half_total;                           // turns 7.5 into 8 in the columns that were read
    double counted;                              // the number of these columns that spreads count
    uint32_t eight_totals;                       // for kernels::CentredSum()
    int16_t column_activations[kScreenColumns];  // 0 where the column's lower nibble is exact
  };
  struct Token {
    size_t order[kMostRanges];
    Terms terms[kMostRanges];
  };

  void SetTerms(size_t token, const double* squares);
  void Gather(size_t token, RefinedRows* rows) const;
  size_t first(size_t range) const { return range * range_cols_; }
  size_t end(size_t range) const;
  bool IsColumn(size_t k) const;

  const HeadBatch& batch_;
  const Screen& screen_;
  const ScreenView& view_;
  void* const mask_;
  size_t range_cols_;
  size_t count_;
  Token tokens_[kScreenTokens];
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_PARTIAL_SCREEN_H_
