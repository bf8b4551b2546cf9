#include "runtime/compute/verify_table.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/float_environment.h"
#include "kernels/int_formats.h"
#include "runtime/compute/gather.h"

namespace tied::runtime {

namespace {

Status VerifyScales(const TableView& table) {
  const size_t per_row = std::max<size_t>(table.scales_per_row, 1);
  const size_t count = table.scales_per_row == 0 ? 1 : table.rows * per_row;
  const kernels::BlocksView view = BlocksOfRow(table, 0);
  for (size_t i = 0; i < count; ++i) {
    const float scale = view.Scale(i);
    if (std::isfinite(scale)) continue;
    return Status::Error(TIED_CORRUPT, "row %zu has the scale %g; it must be finite", i / per_row,
                         static_cast<double>(scale));
  }
  return Status();
}

Status VerifyScreenScales(const float* scales, size_t rows) {
  for (size_t row = 0; row < rows; ++row) {
    if (scales[row] > 0 && std::isfinite(scales[row])) continue;
    return Status::Error(TIED_CORRUPT, "the screen's scale of row %zu is %g; it must be positive and finite", row,
                         static_cast<double>(scales[row]));
  }
  return Status();
}

// The errors of a screen's approximations in one row, reduced so that the rounding of the norms cannot cause an error.
struct ScreenErrors {
  double upper_norm;     // outside the calibrated columns
  double norm;           // of both planes
  double column_excess;  // largest error in a calibrated column, as a share of the column scale; infinite if NaN
  bool lower_in_column;  // whether a lower nibble there is not 8, in a float table, which has no use for it
};

// row: the row's exact values. For a quantised table these are scale * (q - its zero point); the zero point does not
// matter here.
ScreenErrors MeasureScreen(const TableView& table, size_t row, const float* exact) {
  const ScreenView& screen = table.screen;
  const auto* upper = reinterpret_cast<const kernels::NibblePair*>(screen.upper + row * screen.row_bytes);
  const auto* lower = reinterpret_cast<const kernels::NibblePair*>(screen.lower + row * screen.row_bytes);
  const double scale = static_cast<double>(screen.scales == nullptr ? table.RowScale(row) : screen.scales[row]);
  ScreenErrors errors = {};
  for (size_t k = 0, column = 0; k < table.cols; ++k) {
    const double low = kernels::IntegerAt(lower, k) - 7.5;
    const double middle = 16 * kernels::IntegerAt(upper, k) + 7.5 - 128;
    const double value = table.is_float() ? static_cast<double>(exact[k]) : scale * (middle + low);
    const double error = value - scale * middle;
    const double full_error = value - scale * (middle + low);
    if (screen.columns != nullptr && column < kScreenColumns && screen.columns[column] == k) {
      const size_t at = row * kScreenColumns + column++;
      const double step = static_cast<double>(screen.column_scales[row]);
      const double excess = std::fabs(error - step * screen.column_values[at]) / step;
      errors.column_excess = std::max(errors.column_excess, std::isnan(excess) ? INFINITY : excess);
      errors.lower_in_column |= table.is_float() && low != 8 - 7.5;
    } else {
      errors.upper_norm += error * error;
      errors.norm += full_error * full_error;
    }
  }
  const double down = 1 - static_cast<double>(table.cols + 8) * 0x1p-50;
  errors.upper_norm = std::sqrt(errors.upper_norm) * down;
  errors.norm = std::sqrt(errors.norm) * down;
  return errors;
}

Status CheckNorm(size_t row, const char* of, float stored, double norm) {
  if (norm <= static_cast<double>(stored) && std::isfinite(stored)) return Status();
  return Status::Error(TIED_CORRUPT, "the screen's norm of row %zu, %s, is %g; it must be finite and at least %g", row,
                       of, static_cast<double>(stored), norm);
}

Status VerifyScreen(const TableView& table) {
  const ScreenView& screen = table.screen;
  const std::unique_ptr<float[]> widened(new (std::nothrow) float[table.cols]);
  if (widened == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for a row of %zu columns", table.cols);
  for (size_t row = 0; row < table.rows; ++row) {
    if (table.is_float()) GatherRow(table, row, 1.0f, widened.get());
    const ScreenErrors errors = MeasureScreen(table, row, widened.get());
    TIED_RETURN_IF_ERROR(CheckNorm(row, "upper nibbles", screen.upper_norms[row], errors.upper_norm));
    if (screen.norms != nullptr) TIED_RETURN_IF_ERROR(CheckNorm(row, "both", screen.norms[row], errors.norm));
    if (errors.lower_in_column) {
      return Status::Error(TIED_CORRUPT, "the screen's columns of row %zu have lower nibbles other than 8", row);
    }
    if (errors.column_excess <= 0.5 * (1 + 0x1p-20)) continue;
    return Status::Error(TIED_CORRUPT, "the screen's columns of row %zu are off by %g steps; it must be at most 0.5",
                         row, errors.column_excess);
  }
  return Status();
}

}  // namespace

Status VerifyTable(const TableView& table) {
  const kernels::ScopedFloatEnvironment environment;
  if (!table.is_float()) TIED_RETURN_IF_ERROR(VerifyScales(table));
  if (table.screen.upper == nullptr) return Status();
  if (table.screen.scales != nullptr) TIED_RETURN_IF_ERROR(VerifyScreenScales(table.screen.scales, table.rows));
  if (table.screen.columns != nullptr) TIED_RETURN_IF_ERROR(VerifyScreenScales(table.screen.column_scales, table.rows));
  return VerifyScreen(table);
}

}  // namespace tied::runtime
