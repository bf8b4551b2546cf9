#include "converter/flatten.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "converter/error.h"

namespace tied::converter {

namespace {

constexpr size_t kMaxPaths = 64;
constexpr size_t kMaxIfs = 64;  // on a path, one inlined after the other

// The graph input that decides an If, and the value of it that takes the then-branch.
Choice FindCondition(const Graph& graph, const Node& node) {
  static const std::set<std::string> kPassing = {"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten"};
  bool value = true;
  std::string condition = node.Input(0);
  while (const Node* producer = graph.FindProducer(condition)) {
    if (producer->op == "Not") {
      value = !value;
    } else if (kPassing.count(producer->op) == 0) {
      throw ConvertError(node.Describe() + ": its condition comes from " + producer->Describe() +
                         ", not from a Boolean input");
    }
    condition = producer->Input(0);
  }
  const ValueInfo* input = graph.FindInput(condition);
  if (input == nullptr || input->type != ElementType::kBool) {
    throw ConvertError(node.Describe() + ": its condition '" + condition + "' is not a Boolean input of the graph");
  }
  return {condition, value};
}

bool Has(const Graph& graph, const std::string& value) {
  return graph.FindConstant(value) != nullptr || graph.FindInput(value) != nullptr ||
         graph.FindProducer(value) != nullptr;
}

// In the graphs inside, too.
void ReplaceAllUses(Graph* graph, const std::string& value, const std::string& by) {
  graph->ReplaceUses(value, by);
  for (Node& node : graph->nodes) {
    for (auto& [name, attribute] : node.attributes) {
      if (attribute.graph == nullptr) continue;
      Graph inner = *attribute.graph;
      ReplaceAllUses(&inner, value, by);
      attribute.graph = std::make_shared<const Graph>(std::move(inner));
    }
  }
}

// The branch of a node of `graph`, where values that are called as values of the graph are have another name: branches
// of two Ifs may each have a constant "W". The node's own outputs may be made in the branch.
Graph WithOwnNames(Graph branch, const Graph& graph, const Node& node) {
  const auto rename = [&](const std::string& name) -> std::optional<std::string> {
    const bool own = std::count(node.outputs.begin(), node.outputs.end(), name) > 0;
    if (name.empty() || own || !Has(graph, name)) return std::nullopt;
    std::string other = node.outputs[0] + "/" + name;
    while (Has(graph, other) || Has(branch, other)) other += "_";
    return other;
  };
  const std::map<std::string, TensorRef> constants = branch.constants;
  for (const auto& [name, tensor] : constants) {
    const auto other = rename(name);
    if (!other) continue;
    branch.constants.erase(name);
    branch.constants[*other] = tensor;
    ReplaceAllUses(&branch, name, *other);
  }
  for (size_t i = 0; i < branch.nodes.size(); ++i) {
    for (size_t j = 0; j < branch.nodes[i].outputs.size(); ++j) {
      const std::string name = branch.nodes[i].outputs[j];
      const auto other = rename(name);
      if (!other) continue;
      branch.nodes[i].outputs[j] = *other;
      ReplaceAllUses(&branch, name, *other);
    }
  }
  return branch;
}

// Replaces node `index` of the graph by the nodes of one of its branches.
Graph Inline(const Graph& graph, size_t index, const Graph& branch) {
  const Node& node = graph.nodes[index];
  if (branch.outputs.size() != node.outputs.size()) {
    throw ConvertError(node.Describe() + ": branch '" + branch.name + "' has another number of outputs");
  }
  Graph flat = graph;
  flat.nodes.assign(graph.nodes.begin(), graph.nodes.begin() + static_cast<std::ptrdiff_t>(index));
  const Graph own = WithOwnNames(branch, graph, node);
  for (const auto& [name, tensor] : own.constants) flat.constants[name] = tensor;
  flat.nodes.insert(flat.nodes.end(), own.nodes.begin(), own.nodes.end());
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == own.results[i]) continue;
    flat.nodes.push_back({"Identity", node.name, {own.results[i]}, {node.outputs[i]}, {}});
  }
  flat.nodes.insert(flat.nodes.end(), graph.nodes.begin() + static_cast<std::ptrdiff_t>(index) + 1, graph.nodes.end());
  return flat;
}

void Flatten(FlatGraph path, std::vector<FlatGraph>* paths) {
  const auto& nodes = path.graph.nodes;
  const auto found = std::find_if(nodes.begin(), nodes.end(), [](const Node& node) { return node.op == "If"; });
  if (found == nodes.end()) {
    if (paths->size() == kMaxPaths) throw ConvertError("there are too many ways through the Ifs");
    paths->push_back(std::move(path));
    return;
  }
  if (path.branch_names.size() == kMaxIfs) throw ConvertError(found->Describe() + ": there are too many Ifs before it");
  const Choice condition = FindCondition(path.graph, *found);
  for (const bool then : {true, false}) {
    const char* attribute = then ? "then_branch" : "else_branch";
    const auto branch = found->attributes.find(attribute);
    if (branch == found->attributes.end() || branch->second.graph == nullptr) {
      throw ConvertError(found->Describe() + ": has no " + attribute);
    }
    const Choice choice{condition.input, condition.value == then};
    const auto known = std::find_if(path.choices.begin(), path.choices.end(),
                                    [&](const Choice& earlier) { return earlier.input == choice.input; });
    // An If below another on the same input has only one way left.
    if (known != path.choices.end() && known->value != choice.value) continue;
    FlatGraph next = path;
    if (known == path.choices.end()) next.choices.push_back(choice);
    next.branch_names.push_back(branch->second.graph->name);
    next.graph = Inline(path.graph, static_cast<size_t>(found - nodes.begin()), *branch->second.graph);
    Flatten(std::move(next), paths);
  }
}

}  // namespace

std::vector<FlatGraph> FlattenIfs(const Graph& graph) {
  std::vector<FlatGraph> paths;
  Flatten({{}, {}, graph}, &paths);
  return paths;
}

}  // namespace tied::converter
