// The passes that only remove.
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "base/error.h"
#include "converter/graph/operations.h"
#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

template <class T>
TensorRef Inline(const std::vector<T>& values, ElementType type, std::vector<int64_t> dims) {
  TensorRef tensor;
  tensor.type = type;
  tensor.onnx_type = static_cast<int>(type);
  tensor.dims = std::move(dims);
  tensor.SetBytes({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
  return tensor;
}

TensorRef ConstantValue(const Node& node) {
  if (node.attributes.size() == 1) {
    const auto& [name, value] = *node.attributes.begin();
    if (name == "value" && value.tensor) return *value.tensor;
    if (name == "value_int" && value.i) return Inline<int64_t>({*value.i}, ElementType::kInt64, {});
    if (name == "value_float" && value.f) return Inline<float>({*value.f}, ElementType::kFloat32, {});
    if (name == "value_ints") {
      return Inline(value.ints, ElementType::kInt64, {static_cast<int64_t>(value.ints.size())});
    }
    if (name == "value_floats") {
      return Inline(value.floats, ElementType::kFloat32, {static_cast<int64_t>(value.floats.size())});
    }
  }
  throw ConvertError(node.Describe() + ": holds a kind of constant that is not supported");
}

using Types = std::map<std::string, ElementType>;  // of values whose type can be told

Types TypesOf(const Graph& graph) {
  Types types;
  for (const auto& [name, constant] : graph.constants) {
    types[name] = constant.quantisation != nullptr ? ElementType::kFloat32 : constant.type;
  }
  for (const ValueInfo& input : graph.inputs) types[input.name] = input.type;
  // Each node follows those that make its inputs.
  for (const Node& node : graph.nodes) {
    if (node.outputs.empty()) continue;
    const OperationFacts::Type type = FactsOf(node.op).type;
    const auto input = types.find(node.Input(type == OperationFacts::Type::kSecond ? 1 : 0));
    if (node.op == "Cast") {
      types[node.outputs[0]] = static_cast<ElementType>(node.Int("to", 0));
    } else if (type == OperationFacts::Type::kInt64 || type == OperationFacts::Type::kBool) {
      types[node.outputs[0]] = type == OperationFacts::Type::kInt64 ? ElementType::kInt64 : ElementType::kBool;
    } else if (type != OperationFacts::Type::kOther && input != types.end()) {
      types[node.outputs[0]] = input->second;
    }
  }
  return types;
}

// A Dropout that is not for training.
bool IsInferenceDropout(const Graph& graph, const Node& node) {
  const TensorRef* training = graph.FindConstant(node.Input(2));
  return node.Input(2).empty() || (training != nullptr && training->Read() == std::string(1, '\0'));
}

bool IsNoOp(const Types& types, const Graph& graph, const Node& node) {
  if (node.op == "Identity") return true;
  if (node.op == "Dropout") return IsInferenceDropout(graph, node);
  if (node.op != "Cast") return false;
  const auto to = static_cast<ElementType>(node.Int("to", 0));
  const auto from = types.find(node.Input(0));
  return from != types.end() && (to == from->second || (IsFloat(to) && IsFloat(from->second)));
}

// Nothing where it is no view of a constant, or has a shape that is not known or not possible.
std::optional<TensorRef> ViewOfConstant(const Graph& graph, const Node& node, const Shapes& shapes) {
  if (!FactsOf(node.op).is_view || node.outputs.empty()) return std::nullopt;
  const TensorRef* constant = graph.FindConstant(node.Input(0));
  const SymbolicShape* dims = shapes.Find(node.outputs[0]);
  if (constant == nullptr || dims == nullptr) return std::nullopt;
  TensorRef view = *constant;
  view.dims.clear();
  for (const SymbolicInt& dim : *dims) {
    if (dim.kind != SymbolicInt::Kind::kConstant) return std::nullopt;
    view.dims.push_back(dim.value);
  }
  return view.elements() == constant->elements() ? std::optional(view) : std::nullopt;
}

// Removes the nodes that `passes_through` says of, their first output being their first input.
template <class Test>
Graph DropIf(Graph graph, const Test& passes_through) {
  for (size_t i = 0; i < graph.nodes.size();) {
    if (graph.nodes[i].inputs.empty() || graph.nodes[i].outputs.empty() || !passes_through(graph, graph.nodes[i])) {
      ++i;
      continue;
    }
    const Node node = graph.nodes[i];
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
    graph.ReplaceUses(node.outputs[0], node.inputs[0]);
  }
  return graph;
}

}  // namespace

Graph FoldConstants(Graph graph) {
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    if (node.op != "Constant") {
      kept.push_back(std::move(node));
      continue;
    }
    if (node.outputs.size() != 1) throw ConvertError(node.Describe() + ": has not one output");
    TensorRef value = ConstantValue(node);
    value.name = node.outputs[0];
    graph.constants[node.outputs[0]] = std::move(value);
  }
  graph.nodes = std::move(kept);
  return graph;
}

Graph DropNoOps(Graph graph) {
  const Types types = TypesOf(graph);
  return DropIf(std::move(graph), [&](const Graph& now, const Node& node) { return IsNoOp(types, now, node); });
}

Graph DropIdCasts(Graph graph) {
  const Types types = TypesOf(graph);
  const auto is_id = [](ElementType type) { return type == ElementType::kInt32 || type == ElementType::kInt64; };
  return DropIf(std::move(graph), [&](const Graph& now, const Node& node) {
    const auto from = types.find(node.Input(0));
    const bool result = std::count(now.results.begin(), now.results.end(), node.outputs[0]) > 0;
    return node.op == "Cast" && !result && from != types.end() && is_id(from->second) &&
           is_id(static_cast<ElementType>(node.Int("to", 0)));
  });
}

Graph FoldViews(Graph graph, const Shapes& shapes) {
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    if (std::optional<TensorRef> view = ViewOfConstant(graph, node, shapes)) {
      graph.constants[node.outputs[0]] = std::move(*view);
    } else {
      kept.push_back(std::move(node));
    }
  }
  graph.nodes = std::move(kept);
  return graph;
}

Graph DropViews(Graph graph) {
  return DropIf(std::move(graph), [](const Graph& now, const Node& node) {
    return FactsOf(node.op).is_view && now.FindConstant(node.Input(0)) == nullptr;
  });
}

Graph DropDeadCode(Graph graph) { return WithoutUnused(graph); }

Graph Canonicalise(Graph graph, const Shapes& shapes) {
  graph = DropNoOps(std::move(graph));
  graph = DropIdCasts(std::move(graph));
  graph = FoldFills(std::move(graph));
  graph = HoistTransposes(std::move(graph), shapes);
  graph = CanonicalHead(std::move(graph), shapes);
  graph = CanonicalGather(std::move(graph), shapes);
  graph = CanonicalSelection(std::move(graph), shapes);
  graph = FoldViews(std::move(graph), shapes);
  graph = DropViews(std::move(graph));
  graph = CanonicalSoftCap(std::move(graph));
  graph = FuseScale(std::move(graph));
  graph = FuseBias(std::move(graph), shapes);
  graph = FuseScale(std::move(graph));
  graph = FuseSoftCap(std::move(graph));
  graph = FuseSelection(std::move(graph));
  return DropDeadCode(std::move(graph));
}

}  // namespace tied::converter
