#include "converter/flatten.h"

#include <algorithm>
#include <set>

#include "converter/error.h"

namespace tied::converter {

namespace {

constexpr size_t kMaxPaths = 64;

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

// Replaces node `index` of the graph by the nodes of one of its branches.
Graph Inline(const Graph& graph, size_t index, const Graph& branch) {
  const Node& node = graph.nodes[index];
  if (branch.outputs.size() != node.outputs.size()) {
    throw ConvertError(node.Describe() + ": branch '" + branch.name + "' has another number of outputs");
  }
  Graph flat = graph;
  flat.nodes.assign(graph.nodes.begin(), graph.nodes.begin() + static_cast<std::ptrdiff_t>(index));
  for (const auto& [name, tensor] : branch.constants) flat.constants[name] = tensor;
  flat.nodes.insert(flat.nodes.end(), branch.nodes.begin(), branch.nodes.end());
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == branch.outputs[i].name) continue;
    flat.nodes.push_back({"Identity", node.name, {branch.outputs[i].name}, {node.outputs[i]}, {}});
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
