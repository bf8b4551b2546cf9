#include <optional>

#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

// The last dimension of a node's input, if it is known and the node works along it.
std::optional<int64_t> LastDimension(const Node& node, int64_t default_axis, const Shapes& shapes) {
  const SymbolicShape* dims = node.inputs.empty() ? nullptr : shapes.Find(node.inputs[0]);
  if (dims == nullptr || dims->empty() || dims->back().kind != SymbolicInt::Kind::kConstant) return std::nullopt;
  const auto last = static_cast<int64_t>(dims->size()) - 1;
  const int64_t axis = node.Int("axis", default_axis);
  if (axis != -1 && axis != last) return std::nullopt;
  return dims->back().value;
}

Attribute IntAttribute(int64_t i) {
  Attribute attribute;
  attribute.i = i;
  return attribute;
}

// Values and ids of the k largest; "" for results that the node does not have.
struct Selection {
  std::string values;
  std::string ids;
  int64_t k;
  int64_t width;
};

std::optional<Selection> MatchSelection(const Node& node, const Shapes& shapes) {
  if (node.op == "ArgMax") {
    const auto width = LastDimension(node, 0, shapes);
    if (!width || node.Int("select_last_index", 0) != 0) return std::nullopt;
    return Selection{"", node.outputs[0], 1, *width};
  }
  if (node.op != "TopK" || node.outputs.size() != 2 || node.Int("largest", 1) != 1) return std::nullopt;
  const auto width = LastDimension(node, -1, shapes);
  const SymbolicShape* dims = shapes.Find(node.outputs[0].empty() ? node.outputs[1] : node.outputs[0]);
  if (!width || dims == nullptr || dims->empty() || dims->back().kind != SymbolicInt::Kind::kConstant)
    return std::nullopt;
  return Selection{node.outputs[0], node.outputs[1], dims->back().value, *width};
}

}  // namespace

Graph CanonicalSelection(Graph graph, const Shapes& shapes) {
  for (Node& node : graph.nodes) {
    if (const auto found = MatchSelection(node, shapes)) {
      node = {"tied.Topk",
              node.name,
              {node.inputs[0]},
              {found->values, found->ids},
              {{"k", IntAttribute(found->k)}, {"width", IntAttribute(found->width)}},
              node.op};
    } else if (node.op == "LogSoftmax") {
      const auto width = LastDimension(node, -1, shapes);
      if (!width) continue;
      node.stands_for = node.op;
      node.op = "tied.LogSoftmax";
      node.attributes = {{"width", IntAttribute(*width)}};
    }
  }
  return graph;
}

}  // namespace tied::converter
