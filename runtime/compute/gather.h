// Converts rows of a table of any number format to float32.
#ifndef TIED_RUNTIME_COMPUTE_GATHER_H_
#define TIED_RUNTIME_COMPUTE_GATHER_H_

#include <cstddef>

#include "kernels/int_formats.h"
#include "runtime/file/table.h"

namespace tied::runtime {

// embedding[k] = element k of the row * scale (kernels/gather.h).
void GatherRow(const TableView& table, size_t row, float scale, float* embedding);

// The scales and zero points of a table in blocks, starting at `row`.
inline kernels::BlocksView BlocksOfRow(const TableView& table, size_t row) {
  const auto* half_scales = reinterpret_cast<const kernels::Half*>(table.half_scales);
  return kernels::BlocksView{table.scales, half_scales, table.zero_points}.From(row * table.scales_per_row);
}

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_GATHER_H_
