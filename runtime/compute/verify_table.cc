#include "runtime/compute/verify_table.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/float_environment.h"
#include "runtime/compute/gather.h"

namespace tied::runtime {

namespace {

Status VerifyScales(const float* scales, size_t count, size_t per_row) {
  for (size_t i = 0; i < count; ++i) {
    if (std::isfinite(scales[i])) continue;
    return Status::Error(TIED_CORRUPT, "row %zu has the scale %g; it must be finite", i / per_row,
                         static_cast<double>(scales[i]));
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

Status VerifyNibbles(const unsigned char* zero_points, size_t count, size_t per_row) {
  for (size_t i = 0; i < count; ++i) {
    if (zero_points[i] < 16) continue;
    return Status::Error(TIED_CORRUPT, "row %zu has the zero point %u; for int4 it must be below 16", i / per_row,
                         unsigned{zero_points[i]});
  }
  return Status();
}

// The norm in float64, reduced so that its own rounding cannot cause an error.
double ResidualNorm(const TableView& table, size_t row, float* widened) {
  GatherRow(table, row, 1.0f, widened);
  const int8_t* approximation = table.screen.values + row * table.cols;
  const double scale = static_cast<double>(table.screen.scales[row]);
  double norm2 = 0;
  for (size_t k = 0; k < table.cols; ++k) {
    const double residual = static_cast<double>(widened[k]) - scale * approximation[k];
    norm2 += residual * residual;
  }
  return std::sqrt(norm2) * (1 - static_cast<double>(table.cols + 8) * 0x1p-50);
}

Status VerifyScreen(const TableView& table) {
  const std::unique_ptr<float[]> widened(new (std::nothrow) float[table.cols]);
  if (widened == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for a row of %zu columns", table.cols);
  for (size_t row = 0; row < table.rows; ++row) {
    const double norm = ResidualNorm(table, row, widened.get());
    const double stored = static_cast<double>(table.screen.residual_norms[row]);
    if (norm <= stored && std::isfinite(stored)) continue;
    return Status::Error(TIED_CORRUPT, "the screen's residual norm of row %zu is %g; it must be finite and at least %g",
                         row, stored, norm);
  }
  return Status();
}

}  // namespace

Status VerifyTable(const TableView& table) {
  const kernels::ScopedFloatEnvironment environment;
  const size_t scales = table.scales_per_row == 0 ? 1 : table.rows * table.scales_per_row;
  const size_t per_row = std::max<size_t>(table.scales_per_row, 1);
  if (!table.is_float()) TIED_RETURN_IF_ERROR(VerifyScales(table.scales, scales, per_row));
  if (table.type == TIED_INT4 && table.zero_points != nullptr) {
    TIED_RETURN_IF_ERROR(VerifyNibbles(table.zero_points, scales, per_row));
  }
  if (table.screen.values == nullptr) return Status();
  TIED_RETURN_IF_ERROR(VerifyScreenScales(table.screen.scales, table.rows));
  return VerifyScreen(table);
}

}  // namespace tied::runtime
