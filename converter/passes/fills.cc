// Values whose elements are all equal.
#include <optional>

#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

constexpr uint64_t kMaxRead = 64u << 20;

TensorRef Zero() {
  TensorRef zero;
  zero.type = ElementType::kFloat32;
  zero.onnx_type = static_cast<int>(zero.type);
  zero.SetBytes(std::string(sizeof(float), '\0'));
  return zero;
}

// The number, if `value` is a constant with equal elements or the output of tied.Fill.
std::optional<TensorRef> NumberOf(const Graph& graph, const std::string& value) {
  if (const TensorRef* constant = graph.FindConstant(value)) return OnlyElement(*constant);
  const Node* fill = graph.FindProducer(value);
  return fill != nullptr && fill->op == "tied.Fill" ? fill->attributes.at("value").tensor : std::nullopt;
}

bool IsMove(const Node& node) {
  return node.op == "Reshape" || node.op == "Squeeze" || node.op == "Unsqueeze" || node.op == "Flatten" ||
         node.op == "Transpose" || node.op == "Expand" || node.op == "Identity";
}

}  // namespace

std::optional<TensorRef> OnlyElement(const TensorRef& tensor) {
  const size_t size = ElementSize(tensor.type);
  if (size == 0 || tensor.quantisation != nullptr || tensor.elements() == 0 || tensor.length > kMaxRead)
    return std::nullopt;
  const std::string bytes = tensor.Read();
  // Each byte equals the byte one element before it.
  if (bytes.compare(size, std::string::npos, bytes, 0, bytes.size() - size) != 0) return std::nullopt;
  TensorRef element = tensor;
  element.dims.clear();
  element.path.clear();
  element.SetBytes(bytes.substr(0, size));
  return element;
}

Graph FoldFills(Graph graph) {
  for (Node& node : graph.nodes) {
    std::optional<TensorRef> number;
    if (node.op == "ConstantOfShape") {
      const auto value = node.attributes.find("value");
      number = value != node.attributes.end() ? value->second.tensor : Zero();
      if (number) number = OnlyElement(*number);
    } else if (IsMove(node) && (node.op == "Expand" || graph.FindConstant(node.Input(0)) == nullptr)) {
      number = NumberOf(graph, node.Input(0));
    }
    if (!number || node.outputs.size() != 1) continue;
    node.stands_for = node.op;
    node.op = "tied.Fill";
    node.inputs.clear();
    node.attributes.clear();
    node.attributes["value"].tensor = std::move(number);
  }
  return graph;
}

}  // namespace tied::converter
