#include "converter/output/screen.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "converter/output/recorded_hidden.h"
#include "converter/output/rounding.h"

namespace tied::converter {

namespace {

using format::kScreenColumns;

constexpr size_t kSums = 8;  // so that compilers vectorise

// The upper nibble u means (u - 8 + 7.5 / 16) steps of 16 * scale.
constexpr float kCentre = 7.5f / 16;

// A float32 that is at least the root of a sum of squares in float64 over `cols` columns.
float NormAbove(double squares, size_t cols) {
  const double norm = std::sqrt(squares) * (1 + static_cast<double>(cols + 8) * 0x1p-50);
  const auto rounded = static_cast<float>(norm);
  return static_cast<double>(rounded) >= norm ? rounded : std::nextafter(rounded, INFINITY);
}

// How far a scale misses some values: the squared errors of the upper nibbles, and those of both with more weight. A
// larger error of the upper ones costs 1/8 of a row's bytes for each row that it leaves, a larger error of both costs
// the row itself. Trained tables, whose rows have a few large values, read the fewest bytes with a weight around 8
// (benchmarks/trained).
float CostOf(const float* values, size_t count, float scale) {
  constexpr float kWeightOfBoth = 8;
  const float inverse = 1 / scale, step = 16 * scale;
  float costs[kSums] = {};
  const auto add = [&](float value, size_t j) {
    const float integer = Round(value * inverse, -128.0f, 127.0f);
    const float level = Round(integer / 16 - kCentre, -8.0f, 7.0f) + kCentre;
    const float upper_error = value - level * step;
    const float error = value - integer * scale;
    costs[j] += upper_error * upper_error + kWeightOfBoth * (error * error);
  };
  size_t k = 0;
  for (; k + kSums <= count; k += kSums) {
    for (size_t j = 0; j < kSums; ++j) add(values[k + j], j);
  }
  for (; k < count; ++k) add(values[k], 0);
  return std::accumulate(costs, costs + kSums, 0.0f);
}

// The scale of the smallest cost, from steps that fit distributions between a normal and a peaked one.
float BestScale(const float* values, size_t count) {
  float squares[kSums] = {};
  for (size_t k = 0; k < count; ++k) squares[k % kSums] += values[k] * values[k];
  const float largest = LargestMagnitude(values, count);
  const float mean = std::sqrt(std::accumulate(squares, squares + kSums, 0.0f) / static_cast<float>(count));
  const float whole = std::max(largest / 127, kSmallestScale);
  if (!(mean > 64 * kSmallestScale) || !(largest < 1e18f)) return whole;
  float best = whole, least = CostOf(values, count, whole);
  const auto offer = [&](float scale) {
    const float cost = scale < whole ? CostOf(values, count, scale) : least;
    if (cost < least) {
      least = cost;
      best = scale;
    }
  };
  constexpr int kSteps = 19;  // from 0.3 to 3.7 times the mean
  float share = 0.3f;
  for (int i = 0; i < kSteps && share * mean / 16 < whole; ++i) {
    offer(share * mean / 16);
    share *= 1.15f;
  }
  const float around = best;
  offer(around * 0.95f);
  offer(around * 1.05f);
  return best;
}

void SetNibble(char* row, size_t k, int nibble) { row[k / 2] = static_cast<char>(row[k / 2] | nibble << (k % 2 * 4)); }

// One row: its nibbles, then its bounds.
class RowScreen {
 public:
  RowScreen(const TableEncoding& encoding, size_t cols, size_t row, EncodedRows* encoded)
      : columns_(encoding.screen_columns),
        cols_(cols),
        row_(row),
        encoded_(*encoded),
        row_bytes_(static_cast<size_t>(format::RowBytes(format::DataType::Int4, cols))) {}

  void Split(const int* integers, char* upper_plane) {
    char* upper = upper_plane + row_ * row_bytes_;
    char* lower = &encoded_.lower[row_ * row_bytes_];
    std::memset(upper, 0, row_bytes_);
    std::memset(lower, 0, row_bytes_);
    for (size_t k = 0; k < cols_; ++k) {
      SetNibble(upper, k, integers[k] >> 4);
      SetNibble(lower, k, integers[k] & 15);
    }
  }

  // integers: 0 to 255, of which each stands for (integer - 128) * scale; values: the row, or null if they are it.
  void Bound(const int* integers, double scale, const float* values) {
    double squares = 0, upper_squares = 0;
    double column_errors[kScreenColumns] = {};
    for (size_t k = 0, column = 0; k < cols_; ++k) {
      const double exact = scale * (integers[k] - 128);
      const double value = values == nullptr ? exact : static_cast<double>(values[k]);
      const double error = value - scale * ((integers[k] & ~15) + 7.5 - 128);
      if (column < columns_.size() && columns_[column] == k) {
        column_errors[column++] = error;
      } else {
        upper_squares += error * error;
        squares += (value - exact) * (value - exact);
      }
    }
    encoded_.upper_norms[row_] = NormAbove(upper_squares, cols_);
    if (values != nullptr) encoded_.norms[row_] = NormAbove(squares, cols_);
    if (!columns_.empty()) SetColumns(column_errors);
  }

 private:
  void SetColumns(const double (&errors)[kScreenColumns]) {
    double largest = 0;
    for (const double error : errors) largest = std::max(largest, std::fabs(error));
    const float scale = std::max(static_cast<float>(largest / 127), kSmallestScale);
    encoded_.column_scales[row_] = scale;
    // In float64: float32 would round a number of steps to the middle of two, and then to the farther one.
    for (size_t i = 0; i < kScreenColumns; ++i) {
      const double steps = std::clamp(errors[i] / static_cast<double>(scale), -127.0, 127.0);
      encoded_.column_values[row_ * kScreenColumns + i] = static_cast<int8_t>((steps + 0x1.8p52) - 0x1.8p52);
    }
  }

  const std::vector<uint32_t>& columns_;
  const size_t cols_;
  const size_t row_;
  EncodedRows& encoded_;
  const size_t row_bytes_;
};

// Of rows with numbers near the largest of float32.
void CheckNorms(const EncodedRows& encoded, size_t row, uint64_t row_of_table) {
  if (std::isfinite(encoded.upper_norms[row]) && (encoded.norms.empty() || std::isfinite(encoded.norms[row]))) return;
  throw RowError(row_of_table, "has errors beyond float32, which a screen cannot hold");
}

// The values outside the calibrated columns.
std::vector<float> Outside(const float* row, size_t cols, const std::vector<uint32_t>& columns) {
  std::vector<float> outside;
  outside.reserve(cols);
  for (size_t k = 0, column = 0; k < cols; ++k) {
    if (column < columns.size() && columns[column] == k) {
      ++column;
    } else {
      outside.push_back(row[k]);
    }
  }
  return outside;
}

}  // namespace

void EncodeScreen(const TableEncoding& encoding, const float* meant, const RowBlock& block, size_t cols,
                  EncodedRows* encoded) {
  const bool quantised = format::FindFormat(encoding.type)->is_quantised;
  const std::vector<char> bytes = quantised ? encoded->values : std::vector<char>();
  if (quantised) encoded->values.resize(encoded->lower.size());
  std::vector<int> integers(cols);
  for (size_t r = 0; r < block.count; ++r) {
    RowScreen screen(encoding, cols, r, encoded);
    if (quantised) {
      const int flip = encoding.type == format::DataType::Int8 ? 128 : 0;
      for (size_t k = 0; k < cols; ++k) integers[k] = static_cast<unsigned char>(bytes[r * cols + k]) ^ flip;
      const size_t at = encoding.scale_of == format::ScaleOf::kTable ? 0 : r;
      screen.Split(integers.data(), encoded->values.data());
      screen.Bound(integers.data(), static_cast<double>(encoded->scales[at]), nullptr);
      CheckNorms(*encoded, r, block.first + r);
      continue;
    }
    const float* row = meant + r * cols;
    if (std::isinf(LargestMagnitude(row, cols)))
      throw RowError(block.first + r, "is not finite, which a screen cannot hold");
    const std::vector<float> outside = Outside(row, cols, encoding.screen_columns);
    const float scale = BestScale(outside.data(), outside.size());
    for (size_t k = 0; k < cols; ++k) integers[k] = static_cast<int>(Round(row[k] / scale, -128.0f, 127.0f)) + 128;
    // The column's own value replaces the lower nibble.
    for (const uint32_t column : encoding.screen_columns) integers[column] = (integers[column] & ~15) + 8;
    encoded->screen_scales[r] = scale;
    screen.Split(integers.data(), encoded->upper.data());
    screen.Bound(integers.data(), static_cast<double>(scale), row);
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
