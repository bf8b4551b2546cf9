// Recognises the tanh soft cap between a head and its logits.
#include <cmath>
#include <optional>

#include "base/error.h"
#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

// A value, and the number that a node multiplies or divides it by.
struct Scaled {
  std::string value;
  float factor;
  bool division;  // by `factor`, not a product
};

std::optional<Scaled> FindScaled(const Graph& graph, const Node* node) {
  if (node == nullptr || node->inputs.size() != 2 || (node->op != "Mul" && node->op != "Div")) return std::nullopt;
  for (const size_t i : {size_t{1}, size_t{0}}) {
    const TensorRef* constant = graph.FindConstant(node->inputs[i]);
    if (constant == nullptr || !IsFloat(constant->type) || constant->elements() != 1) continue;
    if (node->op == "Div" && i == 0) return std::nullopt;
    return Scaled{node->inputs[1 - i], constant->ReadFloats()[0], node->op == "Div"};
  }
  return std::nullopt;
}

// `base`, lengthened until no value of the graph has the name.
std::string NewName(const Graph& graph, const std::string& base) {
  std::string name = base;
  while (graph.FindConstant(name) != nullptr || graph.FindInput(name) != nullptr || graph.FindProducer(name) != nullptr)
    name += "_";
  return name;
}

TensorRef Number(const std::string& name, float number) {
  TensorRef tensor;
  tensor.name = name;
  tensor.type = ElementType::kFloat32;
  tensor.onnx_type = static_cast<int>(tensor.type);
  tensor.SetBytes({reinterpret_cast<const char*>(&number), sizeof number});
  return tensor;
}

// Whether `scaled` is a value divided by `cap`, written as a division or as a product with its inverse.
bool Divides(const Scaled& scaled, float cap) {
  return scaled.division ? scaled.factor == cap : scaled.factor == 1 / cap;
}

}  // namespace

Graph CanonicalSoftCap(Graph graph) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::optional<Scaled> outer = FindScaled(graph, &graph.nodes[i]);
    const Node* tanh = outer && !outer->division ? graph.FindProducer(outer->value) : nullptr;
    if (tanh == nullptr || tanh->op != "Tanh" || !std::isfinite(outer->factor) || outer->factor == 0) continue;
    Attribute cap;
    cap.f = std::fabs(outer->factor);
    Node node = {"tied.SoftCap", graph.nodes[i].name, tanh->inputs, graph.nodes[i].outputs, {{"cap", cap}}};
    const std::optional<Scaled> inner = FindScaled(graph, graph.FindProducer(tanh->Input(0)));
    if (inner && Divides(*inner, outer->factor)) {
      node.inputs = {inner->value};
      graph.nodes[i] = node;
      continue;
    }
    // c * tanh(y) is the cap of c * y.
    const std::string number = NewName(graph, node.outputs[0] + "/cap");
    graph.constants[number] = Number(number, outer->factor);
    const std::string product = NewName(graph, node.outputs[0] + "/capped");
    const Node before = {"Mul", node.name, {tanh->Input(0), number}, {product}, {}};
    node.inputs = {product};
    graph.nodes[i] = node;
    graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i++), before);
  }
  return graph;
}

Graph FuseSoftCap(Graph graph) {
  for (Node& node : graph.nodes) {
    const Node* head = node.op == "tied.SoftCap" ? graph.FindProducer(node.Input(0)) : nullptr;
    if (head == nullptr || head->op != "tied.Head" || head->attributes.count("soft_cap") > 0) continue;
    Node capped = *head;
    capped.name = node.name;
    capped.outputs = node.outputs;
    capped.attributes["soft_cap"].f = node.Float("cap", 0);
    node = capped;
  }
  return graph;
}

}  // namespace tied::converter
