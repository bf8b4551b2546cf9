#include "runtime/table.h"

#include "kernels/gather.h"
#include "kernels/kernels.h"

namespace tied::runtime {

void GatherRow(const TableView& table, size_t row, float scale, float* embedding) {
  const void* values = table.Row(row);
  switch (table.type) {
    case format::DataType::Float32:
      return kernels::GatherRow(static_cast<const float*>(values), table.cols, scale, embedding);
    case format::DataType::Float16:
      return kernels::GatherRow(static_cast<const kernels::Half*>(values), table.cols, scale, embedding);
    case format::DataType::BFloat16:
      return kernels::GatherRow(static_cast<const kernels::BFloat16*>(values), table.cols, scale, embedding);
    case format::DataType::Int8:
      return kernels::GatherRow(static_cast<const int8_t*>(values), table.cols, table.ZeroPoint(row),
                                table.RowScale(row), scale, embedding);
    case format::DataType::Uint8:
      return kernels::GatherRow(static_cast<const uint8_t*>(values), table.cols, table.ZeroPoint(row),
                                table.RowScale(row), scale, embedding);
    default:
      return kernels::GatherNibbles(static_cast<const uint8_t*>(values),
                                    table.scales + row * kernels::BlocksOf(table.cols), table.cols, scale, embedding);
  }
}

}  // namespace tied::runtime
