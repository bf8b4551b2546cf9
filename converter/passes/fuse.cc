// The passes that take a neighbour in.
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

Graph FuseScale(Graph graph) {
  const Graph original = graph;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Pair pair;
    if (original.nodes[i].op != "Mul" || !FindPair(original, original.nodes[i], "tied.Gather", &pair)) continue;
    const TensorRef& constant = *original.FindConstant(pair.constant);
    if (!IsFloat(constant.type) || constant.elements() != 1) continue;
    Attribute scale;
    scale.f = constant.ReadFloats()[0];
    graph.nodes[i] = {
        "tied.Gather", original.nodes[i].name, pair.producer->inputs, original.nodes[i].outputs, {{"scale", scale}}};
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
