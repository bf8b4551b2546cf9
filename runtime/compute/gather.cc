#include "runtime/compute/gather.h"

#include "kernels/gather.h"

namespace tied::runtime {

namespace {

template <class Byte>
void GatherBytes(const TableView& table, const Byte* values, size_t row, float scale, float* embedding) {
  if (table.in_blocks()) return kernels::GatherBlocks(values, BlocksOfRow(table, row), table.cols, scale, embedding);
  kernels::GatherRow(values, table.cols, table.ZeroPoint(row), table.RowScale(row), scale, embedding);
}

}  // namespace

void GatherRow(const TableView& table, size_t row, float scale, float* embedding) {
  if (table.is_nested()) {
    const size_t at = row * table.screen.row_bytes;
    return kernels::GatherNested(reinterpret_cast<const kernels::NibblePair*>(table.screen.upper + at),
                                 reinterpret_cast<const kernels::NibblePair*>(table.screen.lower + at), table.cols,
                                 table.NestedOffset(row), table.RowScale(row), scale, embedding);
  }
  const void* values = table.Row(row);
  switch (table.type) {
    case TIED_FLOAT32:
      return kernels::GatherRow(static_cast<const float*>(values), table.cols, scale, embedding);
    case TIED_FLOAT16:
      return kernels::GatherRow(static_cast<const kernels::Half*>(values), table.cols, scale, embedding);
    case TIED_BFLOAT16:
      return kernels::GatherRow(static_cast<const kernels::BFloat16*>(values), table.cols, scale, embedding);
    case TIED_INT8:
      return GatherBytes(table, static_cast<const int8_t*>(values), row, scale, embedding);
    case TIED_UINT8:
      return GatherBytes(table, static_cast<const uint8_t*>(values), row, scale, embedding);
    default:
      return kernels::GatherBlocks(static_cast<const kernels::NibblePair*>(values), BlocksOfRow(table, row), table.cols,
                                   scale, embedding);
  }
}

}  // namespace tied::runtime
