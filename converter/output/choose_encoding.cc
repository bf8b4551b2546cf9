#include "converter/output/choose_encoding.h"

#include "base/error.h"
#include "converter/output/blocks.h"
#include "converter/output/screen.h"

namespace tied::converter {

namespace {

using format::DataType;

ChosenEncoding ChooseForFloat32(const TableSource& table, const Progress& progress) {
  const LosslessTypes lossless = FindLosslessTypes(table, progress);
  ChosenEncoding chosen;
  if (!lossless.float16 && !lossless.bfloat16) {
    chosen.reason = "kept as float32: neither float16 nor bfloat16 holds every value exactly";
    return chosen;
  }
  chosen.encoding.type = lossless.float16 ? DataType::Float16 : DataType::BFloat16;
  chosen.reason = std::string("every value survives ") + format::NameOf(chosen.encoding.type) + " exactly";
  return chosen;
}

ChosenEncoding ChooseAutomatically(const TableSource& table, const Progress& progress) {
  if (table.quantised()) return {EncodingOf(table), "kept as quantised in the model"};
  if (table.tensor.type == ElementType::kFloat32) return ChooseForFloat32(table, progress);
  ChosenEncoding chosen;
  chosen.encoding.type = static_cast<DataType>(table.tensor.type);
  chosen.reason = "kept as in the model";
  return chosen;
}

bool Survives(const TableSource& table, DataType type, const Progress& progress) {
  if (type == DataType::Float32) return true;
  if (type == DataType::Int8 || type == DataType::Int4) return false;
  const LosslessTypes lossless = FindLosslessTypes(table, progress);
  return type == DataType::Float16 ? lossless.float16 : lossless.bfloat16;
}

}  // namespace

ChosenEncoding ChooseEncoding(const TableSource& table, std::optional<DataType> type, const EncodingOptions& options,
                              const Progress& progress) {
  ChosenEncoding chosen;
  if (type) {
    chosen.encoding.type = *type;
    chosen.encoding.lossless = Survives(table, *type, progress);
    if (*type == DataType::Int4 || options.in_blocks) {
      ChooseBlocks(table, options.recorded, progress, &chosen.encoding);
    }
  } else {
    chosen = ChooseAutomatically(table, progress);
  }
  if (!options.screen) return chosen;
  const TableEncoding& encoding = chosen.encoding;
  const bool in_blocks = encoding.type == DataType::Int4 || encoding.scale_of == format::ScaleOf::kBlock;
  if (in_blocks || table.cols() > format::kMaxScreenedCols) {
    throw ConvertError("--screen: '" + table.tensor.name + "' " +
                       (in_blocks ? "is quantised in blocks, which a screen cannot bound; leave --screen out"
                                  : "has more than " + std::to_string(format::kMaxScreenedCols) + " columns"));
  }
  chosen.encoding.screen = true;
  if (!options.calibrate.empty()) chosen.encoding.screen_columns = CalibratedColumns(options.calibrate, table.cols());
  return chosen;
}

}  // namespace tied::converter
