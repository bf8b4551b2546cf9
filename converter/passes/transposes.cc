#include "converter/passes/transposes.h"

#include <algorithm>
#include <numeric>

#include "converter/passes/passes.h"

namespace tied::converter {

std::optional<std::vector<size_t>> PermOf(const Node& node, const Shapes& shapes) {
  if (node.op != "Transpose" || node.outputs.empty()) return std::nullopt;
  std::vector<size_t> perm;
  const auto given = node.attributes.find("perm");
  if (given == node.attributes.end()) {
    const SymbolicShape* dims = shapes.Find(node.Input(0));
    if (dims == nullptr) return std::nullopt;
    perm.resize(dims->size());
    std::iota(perm.rbegin(), perm.rend(), 0);
    return perm;
  }
  for (const int64_t dim : given->second.ints) perm.push_back(static_cast<size_t>(dim));
  std::vector<size_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != i) return std::nullopt;
  }
  return perm;
}

Node MakeTranspose(const Node& of, const std::string& input, const std::string& output,
                   const std::vector<size_t>& perm) {
  Node node{"Transpose", of.name, {input}, {output}, {}};
  node.stands_for = of.stands_for.empty() ? of.op : of.stands_for;
  node.attributes["perm"].ints.assign(perm.begin(), perm.end());
  return node;
}

bool KeepsOrder(const std::vector<size_t>& perm, const std::vector<bool>& is_one) {
  std::vector<size_t> moved;
  for (const size_t dim : perm) {
    if (!is_one[dim]) moved.push_back(dim);
  }
  return std::is_sorted(moved.begin(), moved.end());
}

namespace {

// True for each dimension of a Transpose's input that is known to be 1 from the shape of input or output.
std::vector<bool> OnesOf(const Node& node, const std::vector<size_t>& perm, const Shapes& shapes) {
  std::vector<bool> ones(perm.size());
  const SymbolicShape *input = shapes.Find(node.Input(0)), *output = shapes.Find(node.outputs[0]);
  for (size_t i = 0; i < perm.size(); ++i) {
    if (input != nullptr && input->size() == perm.size()) ones[perm[i]] = (*input)[perm[i]].IsConstant(1);
    if (output != nullptr && output->size() == perm.size() && (*output)[i].IsConstant(1)) ones[perm[i]] = true;
  }
  return ones;
}

// Reorders the dimensions of a constant that has at most one dimension other than 1; nullopt for other constants.
std::optional<TensorRef> Permuted(TensorRef constant, const std::vector<size_t>& perm) {
  if (constant.quantisation != nullptr || constant.dims.size() > perm.size()) return std::nullopt;
  const auto wide = [](int64_t dim) { return dim != 1; };
  if (std::count_if(constant.dims.begin(), constant.dims.end(), wide) > 1) return std::nullopt;
  if (constant.elements() == 1) return constant;
  std::vector<int64_t> dims(perm.size(), 1);
  std::copy(constant.dims.rbegin(), constant.dims.rend(), dims.rbegin());
  constant.dims.resize(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) constant.dims[i] = dims[perm[i]];
  return constant;
}

}  // namespace

Graph HoistTransposes(Graph graph, const Shapes& shapes) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node node = graph.nodes[i];
    const std::optional<std::vector<size_t>> perm = PermOf(node, shapes);
    const Node* inner = perm ? graph.FindProducer(node.Input(0)) : nullptr;
    if (inner == nullptr || (inner->op != "Add" && inner->op != "Mul" && inner->op != "Div")) continue;
    const size_t at = graph.FindConstant(inner->Input(0)) != nullptr ? 0 : 1;
    const TensorRef* constant = graph.FindConstant(inner->Input(at));
    if (constant == nullptr || inner->inputs.size() != 2) continue;
    std::optional<TensorRef> permuted = Permuted(*constant, *perm);
    const SymbolicShape *before = shapes.Find(inner->Input(1 - at)), *after = shapes.Find(inner->outputs[0]);
    const bool same_rank = before != nullptr && after != nullptr && before->size() == after->size();
    if (!permuted || !same_rank) continue;
    Node outer = *inner;
    outer.outputs = node.outputs;
    outer.inputs[at] = graph.FreshName(node.outputs[0] + "/constant");
    outer.inputs[1 - at] = graph.FreshName(node.outputs[0] + "/transposed");
    graph.nodes[i] = MakeTranspose(node, inner->Input(1 - at), outer.inputs[1 - at], *perm);
    graph.constants[outer.inputs[at]] = std::move(*permuted);
    graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::move(outer));
    --i;  // the Transpose may move further
  }
  return graph;
}

Graph DropTransposes(Graph graph, const Shapes& shapes) {
  for (Node& node : graph.nodes) {
    std::optional<std::vector<size_t>> perm = PermOf(node, shapes);
    if (!perm) continue;
    const Node* inner = graph.FindProducer(node.Input(0));
    // Earlier Transposes have already been joined.
    if (const auto first = inner == nullptr ? std::nullopt : PermOf(*inner, shapes); first) {
      if (first->size() != perm->size()) continue;
      for (size_t& dim : *perm) dim = (*first)[dim];
      node = MakeTranspose(node, inner->Input(0), node.outputs[0], *perm);
    }
    // A Transpose of a constant changes how it is broadcast.
    if (graph.FindConstant(node.Input(0)) != nullptr || !KeepsOrder(*perm, OnesOf(node, *perm, shapes))) continue;
    const std::string input = node.Input(0), output = node.outputs[0];
    node = {"Identity", node.name, {input}, {output}, {}};
    graph.ReplaceUses(output, input);
  }
  return graph;
}

}  // namespace tied::converter
