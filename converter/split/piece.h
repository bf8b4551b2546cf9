// Converts pieces of an export to graphs.
#ifndef TIED_CONVERTER_SPLIT_PIECE_H_
#define TIED_CONVERTER_SPLIT_PIECE_H_

#include <onnx/onnx_pb.h>

#include <string>

#include "converter/graph/graph.h"
#include "converter/onnx/scope.h"
#include "converter/output/plan.h"

namespace tied::converter {

inline constexpr int kMaxDepth = 16;  // of nested graphs
// From logits back to hidden: eight in quantised forms, a bias, a factor, a soft cap.
inline constexpr int kMaxSteps = 16;

// Converts pieces of one export to graphs.
class PieceReader {
 public:
  // Both arguments must outlive it.
  PieceReader(const onnx::ModelProto& model, const std::string& path) : model_(model), path_(path) {}

  const onnx::ModelProto& model() const { return model_; }
  const std::string& path() const { return path_; }

  // Throws ConvertError that names the export and the node.
  [[noreturn]] void Refuse(const onnx::NodeProto& node, const std::string& reason) const;
  void CheckDepth(int depth) const;

  // Imports the result of CutOut().
  Graph Import(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
               const onnx::ValueInfoProto& output) const;

  // The plan of such a graph, which must be one operation with one table. node: for the message if it is not.
  Plan PlanOf(const onnx::NodeProto& node, const Graph& graph) const;

 private:
  const onnx::ModelProto& model_;
  const std::string& path_;
};

// True if both are the same tensor or have the same values.
bool SameTable(const TableSource& a, const TableSource& b);

// The floating-point type that other nodes get from the table.
int FloatTypeOf(const TableSource& table);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_PIECE_H_
