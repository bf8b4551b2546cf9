#include "converter/graph/table_difference.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>
#include <vector>

namespace tied::converter {

namespace {

// Rounding of a quotient below 2^8 plus zero point, in float32.
constexpr double kQuotientRounding = 0x1p-16;

// Largest relative rounding error of a number of this type.
double RelativeRounding(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return 0x1p-11;
    case ElementType::kBFloat16:
      return 0x1p-8;
    default:
      return 0x1p-22;  // float32, after some operations
  }
}

// Rounds to the nearest integer, for magnitudes below 2^51. Without a call.
double Nearest(double value) { return (value + 0x1.8p52) - 0x1.8p52; }

// The intervals of a table's elements, row by row: [value - below[k], value + above[k]].
class Intervals {
 public:
  explicit Intervals(const TableSource& table)
      : table_(table), cols_(static_cast<size_t>(table.cols())), below(cols_), above(cols_) {}

  void Read(const RowBlock& block, size_t row) {
    const float* values = block.values + row * cols_;
    if (table_.quantised()) return ReadQuantised(block, row, values);
    const ElementType type = table_.tensor.type;
    if (type == ElementType::kFloat32) return;
    const double relative = RelativeRounding(type);
    const double smallest = type == ElementType::kFloat16 ? 0x1p-25 : 0x1p-134;  // half the distance of subnormals
    for (size_t k = 0; k < cols_; ++k) {
      below[k] = above[k] = std::fabs(static_cast<double>(values[k])) * relative + smallest;
      sum_of_squares_ += below[k] * below[k];
    }
  }

  // Assumes that errors are uniformly distributed over the intervals.
  double RootMeanSquare(uint64_t elements) const {
    return std::sqrt(sum_of_squares_ / 3 / static_cast<double>(elements));
  }

 private:
  void ReadQuantised(const RowBlock& block, size_t row, const float* values) {
    const size_t per_row = table_.scales_per_row();
    const auto block_cols = static_cast<size_t>(table_.tensor.quantisation->block);
    const size_t run = block_cols == 0 ? cols_ : block_cols;
    for (size_t first = 0; first < cols_; first += run) {
      const size_t scale = row * per_row + (per_row == 0 ? 0 : first / run);
      ReadRun(values, first, std::min(cols_, first + run), static_cast<double>(block.scales[scale]),
              block.zero_points[scale]);
    }
  }

  // Reads columns that share a scale.
  void ReadRun(const float* values, size_t first, size_t end, double scale, int zero_point) {
    const Quantisation& quantisation = *table_.tensor.quantisation;
    const bool is_signed = table_.tensor.type == ElementType::kInt8 || table_.tensor.type == ElementType::kInt4;
    const int lowest = is_signed ? -(1 << (quantisation.bits - 1)) : 0;
    const int highest = lowest + (1 << quantisation.bits) - 1;
    const double step = std::fabs(scale);
    const double half = step * (0.5 + kQuotientRounding);
    const double scale_rounding = step * RelativeRounding(quantisation.scales.type);
    for (size_t k = first; k < end; ++k) {
      const double steps = step == 0 ? 0 : Nearest(values[k] / scale);
      below[k] = above[k] = half + std::fabs(steps) * scale_rounding;
      const double integer = steps + zero_point;
      if (integer <= lowest) (scale < 0 ? above[k] : below[k]) += step;
      if (integer >= highest) (scale < 0 ? below[k] : above[k]) += step;
    }
    sum_of_squares_ += static_cast<double>(end - first) * step * step / 4;
  }

  const TableSource& table_;
  const size_t cols_;
  double sum_of_squares_ = 0;  // of the intervals' halves

 public:
  std::vector<double> below;
  std::vector<double> above;
};

class Comparison {
 public:
  Comparison(const TableSource& a, const TableSource& b) : cols_(static_cast<size_t>(a.cols())), a_(a), b_(b) {}

  void Add(const RowBlock& a, const RowBlock& b) {
    for (size_t row = 0; row < a.count; ++row) {
      a_.Read(a, row);
      b_.Read(b, row);
      AddRow(a.values + row * cols_, b.values + row * cols_);
    }
  }

  TableDifference Finish() {
    result_.rms = std::sqrt(sum_of_squares_ / static_cast<double>(result_.elements));
    result_.rounding_a = a_.RootMeanSquare(result_.elements);
    result_.rounding_b = b_.RootMeanSquare(result_.elements);
    return result_;
  }

 private:
  void AddRow(const float* a, const float* b) {
    double row_sum = 0;
    for (size_t k = 0; k < cols_; ++k) {
      if (a[k] == b[k]) continue;
      const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
      const double size = std::isnan(difference) ? INFINITY : std::fabs(difference);
      const double allowed = difference > 0 ? a_.below[k] + b_.above[k] : a_.above[k] + b_.below[k];
      row_sum += size;
      sum_of_squares_ += size * size;
      result_.largest = std::max(result_.largest, size);
      if (size <= allowed) continue;
      ++result_.unexplained;
      result_.worst_share = std::max(result_.worst_share, size / allowed);
    }
    result_.elements += cols_;
    result_.largest_row_sum = std::max(result_.largest_row_sum, row_sum);
  }

  const size_t cols_;
  Intervals a_;
  Intervals b_;
  double sum_of_squares_ = 0;
  TableDifference result_;
};

}  // namespace

TableDifference TableDifference::Swapped() const {
  TableDifference swapped = *this;
  std::swap(swapped.rounding_a, swapped.rounding_b);
  return swapped;
}

std::string TableDifference::Describe() const {
  std::ostringstream text;
  text.precision(3);
  text << "differ by up to " << largest << " (root mean square " << rms << ")";
  if (one_matrix()) return text.str();
  text << ", by more than rounding explains in "
       << 100.0 * static_cast<double>(unexplained) / static_cast<double>(elements) << " % of their weights";
  if (std::isfinite(worst_share)) text << ", " << worst_share << " times as much at most";
  return text.str();
}

TableDifference CompareTables(const TableSource& a, const TableSource& b, const Progress& progress) {
  Comparison comparison(a, b);
  uint64_t done = 0;
  ForEachBlockOfBoth(a, b, [&](const RowBlock& block_a, const RowBlock& block_b) {
    comparison.Add(block_a, block_b);
    done += block_a.count * a.cols() * sizeof(float);
    progress(done, a.float_bytes());
    return true;
  });
  return comparison.Finish();
}

}  // namespace tied::converter
