// Pieces of an export as graphs.
#ifndef TIED_CONVERTER_SPLIT_PIECE_H_
#define TIED_CONVERTER_SPLIT_PIECE_H_

#include <onnx/onnx_pb.h>

#include <string>

#include "converter/graph/graph.h"
#include "converter/onnx/scope.h"
#include "converter/output/plan.h"

namespace tied::converter {

inline constexpr int kMaxDepth = 16;  // of graphs in each other
inline constexpr int kMaxSteps =
    16;  // from logits back to hidden: eight in quantised forms, a bias, a factor, a soft cap

// Makes graphs of the pieces of one export.
class PieceReader {
 public:
  // Both must outlive it.
  PieceReader(const onnx::ModelProto& model, const std::string& path) : model_(model), path_(path) {}

  const onnx::ModelProto& model() const { return model_; }
  const std::string& path() const { return path_; }

  // Throws ConvertError that names the export and the node.
  [[noreturn]] void Refuse(const onnx::NodeProto& node, const std::string& reason) const;
  void CheckDepth(int depth) const;

  // As CutOut() gives it.
  Graph Import(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
               const onnx::ValueInfoProto& output) const;

  // Of such a graph, which must be one operation with one table. `node` is named if it is not.
  Plan PlanOf(const onnx::NodeProto& node, const Graph& graph) const;

 private:
  const onnx::ModelProto& model_;
  const std::string& path_;
};

// In the same place, or with the same values.
bool SameTable(const TableSource& a, const TableSource& b);

// The type of a table's numbers to the nodes around it.
int FloatTypeOf(const TableSource& table);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_PIECE_H_
