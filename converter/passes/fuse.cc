// The passes that take a neighbour in.
#include <cmath>
#include <optional>

#include "base/error.h"
#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

// A node of two operands, one a constant and one made by an operation of ours.
struct Pair {
  const Node* producer;
  std::string constant;
};

bool FindPair(const Graph& graph, const Node& node, const char* producer_op, Pair* pair) {
  if (node.inputs.size() != 2) return false;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const Node* producer = graph.FindProducer(node.inputs[i]);
    if (producer == nullptr || producer->op != producer_op || graph.FindConstant(node.inputs[1 - i]) == nullptr)
      continue;
    *pair = {producer, node.inputs[1 - i]};
    return true;
  }
  return false;
}

// A vector along the last dimension: all others are 1.
bool IsVector(const TensorRef& tensor, int64_t size) {
  return IsFloat(tensor.type) && !tensor.dims.empty() && tensor.dims.back() == size &&
         tensor.elements() == static_cast<uint64_t>(size);
}

int64_t RowsOf(const Graph& graph, const Node& head) {
  const std::vector<int64_t>& dims = graph.FindConstant(head.Input(1))->dims;
  return dims[head.Int("transposed", 0) != 0 ? 1 : 0];
}

}  // namespace

namespace {

// The constant number that a node multiplies another value with.
struct Factor {
  std::string value;
  float number;
};

std::optional<Factor> FindFactor(const Graph& graph, const Node* node) {
  if (node == nullptr || node->inputs.size() != 2 || (node->op != "Mul" && node->op != "Div")) return std::nullopt;
  for (const size_t i : {size_t{1}, size_t{0}}) {
    const TensorRef* constant = graph.FindConstant(node->inputs[i]);
    if (constant == nullptr || !IsFloat(constant->type) || constant->elements() != 1) continue;
    const float number = constant->ReadFloats()[0];
    if (node->op == "Mul") return Factor{node->inputs[1 - i], number};
    if (i == 1) return Factor{node->inputs[0], 1 / number};
  }
  return std::nullopt;
}

// Embeddings are made with one rounding: a division is a product only by a power of two.
bool IsExact(const Node& node, float factor) {
  int exponent = 0;
  return node.op == "Mul" || std::fabs(std::frexp(factor, &exponent)) == 0.5F;
}

// The name of a new constant: the bias of a head times a number.
std::string MultiplyBias(Graph* graph, const Node& head, float factor) {
  TensorRef bias = *graph->FindConstant(head.Input(2));
  std::vector<float> values = bias.ReadFloats();
  for (float& value : values) value *= factor;
  bias.name = head.outputs[0] + "/bias";
  while (graph->FindConstant(bias.name) != nullptr || graph->FindInput(bias.name) != nullptr ||
         graph->FindProducer(bias.name) != nullptr) {
    bias.name += "_";
  }
  bias.type = ElementType::kFloat32;
  bias.onnx_type = static_cast<int>(bias.type);
  bias.path.clear();
  bias.offset = 0;
  bias.SetBytes({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  graph->constants[bias.name] = bias;
  return bias.name;
}

void MultiplyScale(Node* node, float factor) { node->attributes["scale"].f = node->Float("scale", 1) * factor; }

}  // namespace

Graph FuseScale(Graph graph) {
  for (Node& node : graph.nodes) {
    // Of hidden states: a factor of their products as well.
    while (node.op == "tied.Head") {
      const std::optional<Factor> factor = FindFactor(graph, graph.FindProducer(node.Input(0)));
      if (!factor || !std::isfinite(factor->number)) break;
      node.inputs[0] = factor->value;
      MultiplyScale(&node, factor->number);
    }
    const std::optional<Factor> factor = FindFactor(graph, &node);
    const Node* producer = factor ? graph.FindProducer(factor->value) : nullptr;
    if (producer == nullptr || !std::isfinite(factor->number)) continue;
    const bool head = producer->op == "tied.Head";
    const bool gather =
        producer->op == "tied.Gather" && producer->attributes.count("scale") == 0 && IsExact(node, factor->number);
    if (!head && !gather) continue;
    Node scaled = *producer;
    scaled.name = node.name;
    scaled.stands_for = node.op;
    scaled.outputs = node.outputs;
    MultiplyScale(&scaled, factor->number);
    if (head && !producer->Input(2).empty()) scaled.inputs[2] = MultiplyBias(&graph, scaled, factor->number);
    node = scaled;
  }
  return graph;
}

Graph FuseBias(Graph graph, const Shapes& shapes) {
  for (const Node& node : graph.nodes) {
    if (node.op != "tied.Head" || node.Input(2).empty()) continue;
    if (IsVector(*graph.FindConstant(node.Input(2)), RowsOf(graph, node))) continue;
    throw ConvertError(node.Describe() + ": its bias '" + node.Input(2) +
                       "' is not one floating-point number for each row");
  }
  const Graph original = graph;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Pair pair;
    if (original.nodes[i].op != "Add" || !FindPair(original, original.nodes[i], "tied.Head", &pair)) continue;
    const int64_t rows = RowsOf(original, *pair.producer);
    const SymbolicShape* dims = shapes.Find(original.nodes[i].outputs[0]);
    if (!pair.producer->Input(2).empty() || !IsVector(*original.FindConstant(pair.constant), rows) || dims == nullptr ||
        dims->empty() || !dims->back().IsConstant(rows)) {
      continue;
    }
    graph.nodes[i] = *pair.producer;
    graph.nodes[i].inputs.push_back(pair.constant);
    graph.nodes[i].outputs = original.nodes[i].outputs;
  }
  return graph;
}

Graph FuseSelection(Graph graph) {
  for (Node& node : graph.nodes) {
    const bool softmax = node.op == "tied.LogSoftmax";
    if (!softmax && node.op != "tied.Topk") continue;
    const Node* head = graph.FindProducer(node.Input(0));
    if (head == nullptr || head->op != "tied.Head" || RowsOf(graph, *head) != node.Int("width", 0)) continue;
    if (softmax && head->Int("log_softmax", 0) != 0) continue;
    node.inputs = head->inputs;
    node.attributes.erase("width");
    node.attributes.insert(head->attributes.begin(), head->attributes.end());
    if (softmax) node.op = "tied.Head";
    if (softmax) node.attributes["log_softmax"].i = 1;
  }
  return graph;
}

}  // namespace tied::converter
