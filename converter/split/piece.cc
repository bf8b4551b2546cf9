#include "converter/split/piece.h"

#include "base/error.h"
#include "converter/onnx/import.h"

namespace tied::converter {

void PieceReader::Refuse(const onnx::NodeProto& node, const std::string& reason) const {
  throw ConvertError(path_ + ": " + Describe(node) + ": " + reason);
}

void PieceReader::CheckDepth(int depth) const {
  if (depth > kMaxDepth) throw ConvertError(path_ + ": graphs are nested too deeply");
}

Graph PieceReader::Import(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
                          const onnx::ValueInfoProto& output) const {
  onnx::ModelProto piece;
  *piece.mutable_opset_import() = model_.opset_import();
  *piece.mutable_graph() = CutOut(scope, slice, input, output);
  piece.mutable_graph()->set_name("tied_pair");
  Graph graph = ImportModel(piece, path_);
  graph.outputs[0].name = output.name();  // set last, because values of the export may have this name
  return graph;
}

Plan PieceReader::PlanOf(const onnx::NodeProto& node, const Graph& graph) const {
  if (graph.inputs.size() != 1) Refuse(node, "also depends on '" + graph.inputs.back().name + "'");
  try {
    return MakePlan(graph, path_, /*allow_untied=*/false, [](uint64_t, uint64_t) {});
  } catch (const ConvertError& error) {
    throw ConvertError(path_ + ": " + error.what());
  }
}

bool SameTable(const TableSource& a, const TableSource& b) {
  return (a.tensor.SamePlace(b.tensor) && a.transposed == b.transposed) || SameValues(a, b, [](uint64_t, uint64_t) {});
}

int FloatTypeOf(const TableSource& table) {
  return table.quantised() ? table.tensor.quantisation->scales.onnx_type : table.tensor.onnx_type;
}

}  // namespace tied::converter
