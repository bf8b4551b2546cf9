#include "converter/output/screen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "converter/output/recorded_hidden.h"
#include "converter/output/rounding.h"
#include "converter/output/screen_loops.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

using format::kScreenColumns;

// A float32 that is at least the root of a sum of squares in float64 over `cols` columns. The errors that were squared
// may have been rounded to float32 once, by at most 2^-24 of their magnitude, which changes the root as much.
float NormAbove(double squares, size_t cols) {
  const double norm = std::sqrt(squares) * (1 + 0x1p-23 + static_cast<double>(cols + 8) * 0x1p-50);
  const auto rounded = static_cast<float>(norm);
  return static_cast<double>(rounded) >= norm ? rounded : std::nextafter(rounded, INFINITY);
}

// 16 significant bits: then products with integers and levels, which have 8, are exact in float32, and an error is
// rounded once. Rounds down, so that no product is larger than the row's largest value.
float Shortened(float scale) { return FloatOf(BitsOf(scale) & ~0xffu); }

// Finds the scale of the smallest cost for some values.
class ScaleSearch {
 public:
  ScaleSearch(const ScreenLoops& loops, const float* values, size_t count)
      : loops_(loops),
        values_(values),
        count_(count),
        whole_(Shortened(std::max(LargestMagnitude(values, count) / 127, kSmallestScale))) {}

  // The cost falls from scales that cut off values to one around 0.9 of that which covers all, in trained tables as in
  // normal distributions, and rises from there: walks down while it falls, then looks halfway to both neighbours.
  float Run() {
    constexpr float kFirst = 0.95f, kRatio = 1.07f, kHalfRatio = 1.0344f;
    if (!Offer(whole_ * kFirst)) return whole_;
    while (Offer(best_ / kRatio)) {
    }
    const float middle = best_;
    if (Offer(middle / kHalfRatio) || !Offer(middle * kHalfRatio)) return best_;
    Offer(whole_);
    return best_;
  }

 private:
  // Returns whether the scale is the best until now.
  bool Offer(float scale) {
    scale = Shortened(scale);
    if (!(scale >= kSmallestScale && scale <= whole_)) return false;
    const float cost = CostOf(scale);
    if (!(cost < least_)) return false;
    least_ = cost;
    best_ = scale;
    return true;
  }

  // The squared errors of the upper nibbles, and those of both with more weight. A larger error of the upper ones costs
  // 1/8 of a row's bytes for each row that it leaves, a larger error of both costs the row itself. Trained tables,
  // whose rows have a few large values, read the fewest bytes with a weight around 8 (benchmarks/trained).
  float CostOf(float scale) const {
    constexpr float kWeightOfBoth = 8;
    const ScreenSquares<float> steps = loops_.measure(values_, count_, scale);
    const float share = scale / whole_;  // the scale itself may be too small or too large to be squared
    return (steps.upper + kWeightOfBoth * steps.both) * (share * share);
  }

  const ScreenLoops& loops_;
  const float* const values_;
  const size_t count_;
  const float whole_;
  float best_ = 0, least_ = INFINITY;
};

// Makes the screens of rows.
class RowScreener {
 public:
  RowScreener(const TableEncoding& encoding, size_t cols, EncodedRows* encoded)
      : columns_(encoding.screen_columns),
        cols_(cols),
        row_bytes_(static_cast<size_t>(format::RowBytes(format::DataType::Int4, cols))),
        loops_(FastestScreenLoops()),
        encoded_(*encoded),
        integers_(2 * row_bytes_),
        outside_(columns_.empty() ? 0 : cols),
        outside_integers_(outside_.size()) {}

  void ScreenFloats(const float* row, size_t r) {
    const float* outside = row;
    if (!columns_.empty()) {
      CopyOutside(row, outside_.data());
      outside = outside_.data();
    }
    const size_t count = cols_ - columns_.size();
    const float scale = ScaleSearch(loops_, outside, count).Run();
    uint8_t* const integers = columns_.empty() ? integers_.data() : outside_integers_.data();
    const ScreenSquares<double> squares = loops_.quantise(outside, count, scale, integers);
    encoded_.screen_scales[r] = scale;
    encoded_.upper_norms[r] = NormAbove(squares.upper, cols_);
    encoded_.norms[r] = NormAbove(squares.both, cols_);
    if (!columns_.empty()) PlaceColumns(row, scale, r);
    Split(encoded_.upper.data(), r);
  }

  // bytes: of int8 or uint8, which `flip` turns into 0 to 255.
  void ScreenBytes(const char* bytes, unsigned flip, float scale, size_t r) {
    for (size_t k = 0; k < cols_; ++k) integers_[k] = static_cast<uint8_t>(static_cast<uint8_t>(bytes[k]) ^ flip);
    // An error is a multiple of half the scale.
    uint32_t squares = loops_.lower_squares(integers_.data(), cols_);
    double errors[kScreenColumns] = {};
    for (size_t i = 0; i < columns_.size(); ++i) {
      const uint8_t integer = integers_[columns_[i]];
      squares -= loops_.lower_squares(&integer, 1);
      errors[i] = static_cast<double>(scale) * ((integer & 15) - 7.5);
    }
    const double half = 0.5 * static_cast<double>(scale);
    encoded_.upper_norms[r] = NormAbove(squares * (half * half), cols_);
    if (!columns_.empty()) SetColumns(errors, r);
    Split(encoded_.values.data(), r);
  }

 private:
  // Calls copy(first, count, outside) for each run of columns between the calibrated ones; `outside` counts the
  // columns of the runs before it.
  template <class Copy>
  void ForEachRun(const Copy& copy) const {
    size_t first = 0, outside = 0;
    for (const size_t column : columns_) {
      copy(first, column - first, outside);
      outside += column - first;
      first = column + 1;
    }
    copy(first, cols_ - first, outside);
  }

  void CopyOutside(const float* row, float* values) const {
    ForEachRun([&](size_t first, size_t count, size_t outside) { std::copy_n(row + first, count, values + outside); });
  }

  // Their own values replace the lower nibbles.
  void PlaceColumns(const float* row, float scale, size_t r) {
    ForEachRun([&](size_t first, size_t count, size_t outside) {
      std::copy_n(&outside_integers_[outside], count, &integers_[first]);
    });
    double errors[kScreenColumns] = {};
    for (size_t i = 0; i < columns_.size(); ++i) {
      const size_t k = columns_[i];
      const int integer = static_cast<int>(Round(row[k] / scale, -128.0f, 127.0f)) + 128;
      integers_[k] = static_cast<uint8_t>((integer & ~15) + 8);
      errors[i] = static_cast<double>(row[k]) - static_cast<double>(scale) * ((integer & ~15) + 7.5 - 128);
    }
    SetColumns(errors, r);
  }

  void SetColumns(const double (&errors)[kScreenColumns], size_t r) {
    double largest = 0;
    for (const double error : errors) largest = std::max(largest, std::fabs(error));
    const float scale = std::max(static_cast<float>(largest / 127), kSmallestScale);
    encoded_.column_scales[r] = scale;
    // In float64: float32 would round a number of steps to the middle of two, and then to the farther one.
    for (size_t i = 0; i < kScreenColumns; ++i) {
      const double steps = std::clamp(errors[i] / static_cast<double>(scale), -127.0, 127.0);
      encoded_.column_values[r * kScreenColumns + i] = static_cast<int8_t>((steps + 0x1.8p52) - 0x1.8p52);
    }
  }

  void Split(char* upper_plane, size_t r) {
    loops_.split(integers_.data(), row_bytes_, reinterpret_cast<uint8_t*>(upper_plane) + r * row_bytes_,
                 reinterpret_cast<uint8_t*>(encoded_.lower.data()) + r * row_bytes_);
  }

  const std::vector<uint32_t>& columns_;
  const size_t cols_;
  const size_t row_bytes_;
  const ScreenLoops& loops_;
  EncodedRows& encoded_;
  std::vector<uint8_t> integers_;  // of a row; 0 behind its last column
  std::vector<float> outside_;     // the values of columns that are not calibrated
  std::vector<uint8_t> outside_integers_;
};

// Of rows with numbers near the largest of float32.
void CheckNorms(const EncodedRows& encoded, size_t row, uint64_t row_of_table) {
  if (std::isfinite(encoded.upper_norms[row]) && (encoded.norms.empty() || std::isfinite(encoded.norms[row]))) return;
  throw RowError(row_of_table, "has errors beyond float32, which a screen cannot hold");
}

}  // namespace

void EncodeScreen(const TableEncoding& encoding, const float* meant, const RowBlock& block, size_t cols,
                  EncodedRows* encoded) {
  const bool quantised = format::FindFormat(encoding.type)->is_quantised;
  const unsigned flip = encoding.type == format::DataType::Int8 ? 128 : 0;
  const std::vector<char> bytes = quantised ? encoded->values : std::vector<char>();
  if (quantised) encoded->values.resize(encoded->lower.size());
  RowScreener screener(encoding, cols, encoded);
  for (size_t r = 0; r < block.count; ++r) {
    if (quantised) {
      const size_t at = encoding.scale_of == format::ScaleOf::kTable ? 0 : r;
      screener.ScreenBytes(&bytes[r * cols], flip, encoded->scales[at], r);
    } else {
      const float* row = meant + r * cols;
      if (std::isinf(LargestMagnitude(row, cols)))
        throw RowError(block.first + r, "is not finite, which a screen cannot hold");
      screener.ScreenFloats(row, r);
    }
    CheckNorms(*encoded, r, block.first + r);
  }
}

std::vector<uint32_t> CalibratedColumns(const std::string& path, uint64_t cols) {
  // With a smaller share of the squares, the columns cost as many bytes as they save.
  constexpr double kLeastShare = 0.3;
  constexpr size_t kMostTokens = 4096;
  if (cols < 4 * kScreenColumns) return {};
  const std::vector<float> hidden = ReadRecordedHidden(path, cols, kMostTokens);
  std::vector<double> squares(static_cast<size_t>(cols));
  for (size_t i = 0; i < hidden.size(); ++i) {
    const double value = static_cast<double>(hidden[i]);
    if (!std::isfinite(value)) {
      throw ConvertError(path + ": token " + std::to_string(i / cols) + " is not finite at column " +
                         std::to_string(i % cols));
    }
    squares[i % squares.size()] += value * value;
  }
  std::vector<uint32_t> columns(squares.size());
  std::iota(columns.begin(), columns.end(), 0u);
  std::partial_sort(columns.begin(), columns.begin() + kScreenColumns, columns.end(),
                    [&](uint32_t a, uint32_t b) { return squares[a] != squares[b] ? squares[a] > squares[b] : a < b; });
  columns.resize(kScreenColumns);
  std::sort(columns.begin(), columns.end());
  double share = 0;
  for (const uint32_t column : columns) share += squares[column];
  share /= std::accumulate(squares.begin(), squares.end(), 0.0);
  return share >= kLeastShare ? columns : std::vector<uint32_t>();
}

}  // namespace tied::converter
