#include <algorithm>
#include <numeric>
#include <optional>

#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

constexpr char kFusedMatMul[] = "com.microsoft.FusedMatMul";

// A constant matrix as a node's input, perhaps behind a Transpose.
struct Matrix {
  std::string constant;
  bool transposed;
};

// On a matrix, perm = [0, 1] does nothing.
bool Transposes(const Node* node) {
  if (node == nullptr || node->op != "Transpose") return false;
  const auto perm = node->attributes.find("perm");
  return perm == node->attributes.end() || perm->second.ints != std::vector<int64_t>{0, 1};
}

std::optional<Matrix> FindMatrix(const Graph& graph, const std::string& value) {
  const Node* producer = graph.FindProducer(value);
  const bool behind = producer != nullptr && producer->op == "Transpose";
  const std::string& constant = behind ? producer->Input(0) : value;
  const TensorRef* tensor = graph.FindConstant(constant);
  if (tensor == nullptr || tensor->dims.size() != 2) return std::nullopt;
  return Matrix{constant, Transposes(producer)};
}

// A Transpose that swaps the last two dimensions and no others.
bool SwapsLastTwo(const Node& node, const Shapes& shapes) {
  if (node.op != "Transpose") return false;
  const auto perm = node.attributes.find("perm");
  if (perm == node.attributes.end()) {
    const SymbolicShape* dims = shapes.Find(node.Input(0));
    return dims != nullptr && dims->size() == 2;
  }
  std::vector<int64_t> swapped(perm->second.ints.size());
  if (swapped.size() < 2) return false;
  std::iota(swapped.begin(), swapped.end(), 0);
  std::swap(swapped[swapped.size() - 1], swapped[swapped.size() - 2]);
  return perm->second.ints == swapped;
}

Node Head(const Node& node, const std::string& hidden, const Matrix& table) {
  Attribute transposed;
  transposed.i = table.transposed;
  return {"tied.Head", node.name, {hidden, table.constant}, {node.outputs[0]}, {{"transposed", transposed}}};
}

// x times the table's transpose: MatMul(x, Transpose(W)), MatMul(x, Wt), FusedMatMul and Gemm with transB.
std::optional<Node> MatchRight(const Graph& graph, const Node& node) {
  const bool gemm = node.op == "Gemm";
  if (!gemm && node.op != "MatMul" && node.op != kFusedMatMul) return std::nullopt;
  std::optional<Matrix> table = FindMatrix(graph, node.Input(1));
  if (!table || FindMatrix(graph, node.Input(0)) || node.Int("transA", 0) != 0 || node.Int("transBatchA", 0) != 0 ||
      node.Int("transBatchB", 0) != 0 || node.Float("alpha", 1) != 1 || node.Float("beta", 1) != 1) {
    return std::nullopt;
  }
  // A head multiplies with [cols, rows]: the constant is that if no transposition lies between.
  table->transposed = table->transposed == (node.Int("transB", 0) != 0);
  Node head = Head(node, node.Input(0), *table);
  if (gemm && !node.Input(2).empty()) {
    // FuseBias() checks what the constant is.
    if (graph.FindConstant(node.Input(2)) == nullptr) return std::nullopt;
    head.inputs.push_back(node.Input(2));
  }
  return head;
}

// Transpose(MatMul(W, Transpose(x))), where `node` is the outer Transpose.
std::optional<Node> MatchLeft(const Graph& graph, const Node& node, const Shapes& shapes) {
  if (!SwapsLastTwo(node, shapes)) return std::nullopt;
  const Node* product = graph.FindProducer(node.Input(0));
  if (product == nullptr || product->op != "MatMul") return std::nullopt;
  const Node* inner = graph.FindProducer(product->Input(1));
  const std::optional<Matrix> table = FindMatrix(graph, product->Input(0));
  if (!table || inner == nullptr || !SwapsLastTwo(*inner, shapes)) return std::nullopt;
  return Head(node, inner->Input(0), *table);
}

// MatMul(W, x) with x [..., cols, 1]: one column for each token lies in memory as a row does.
std::optional<Node> MatchColumn(const Graph& graph, const Node& node, const Shapes& shapes) {
  if (node.op != "MatMul") return std::nullopt;
  const std::optional<Matrix> table = FindMatrix(graph, node.Input(0));
  const SymbolicShape* dims = shapes.Find(node.Input(1));
  if (!table || dims == nullptr || dims->size() < 2 || !dims->back().IsConstant(1)) return std::nullopt;
  return Head(node, node.Input(1), *table);
}

}  // namespace

Graph CanonicalHead(Graph graph, const Shapes& shapes) {
  const Graph original = graph;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = original.nodes[i];
    std::optional<Node> head = MatchRight(original, node);
    if (!head) head = MatchLeft(original, node, shapes);
    if (!head) head = MatchColumn(original, node, shapes);
    if (head) graph.nodes[i] = *head;
  }
  return graph;
}

}  // namespace tied::converter
