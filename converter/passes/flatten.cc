#include "converter/passes/flatten.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/error.h"
#include "converter/graph/operations.h"

namespace tied::converter {

namespace {

constexpr size_t kMaxPaths = 64;
constexpr size_t kMaxIfs = 64;           // on a path
constexpr size_t kMaxNodes = 8000;       // of all paths: the time of the passes grows with the square of a path's
constexpr size_t kMaxBytes = 24u << 20;  // of the graphs of all paths, those on the way to them included

// The graph input that decides an If, and its value for the then-branch.
Selector FindCondition(const Graph& graph, const Node& node) {
  bool value = true;
  std::string condition = node.Input(0);
  while (const Node* producer = graph.FindProducer(condition)) {
    if (producer->op == "Not") {
      value = !value;
    } else if (!FactsOf(producer->op).passes_numbers()) {
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

using Names = std::set<std::string>;

// Collects the values of a graph; with `inside`, also the values of its subgraphs.
void CollectValues(const Graph& graph, bool inside, Names* values) {
  for (const auto& [name, tensor] : graph.constants) values->insert(name);
  for (const ValueInfo& input : graph.inputs) values->insert(input.name);
  for (const Node& node : graph.nodes) {
    values->insert(node.outputs.begin(), node.outputs.end());
    for (const auto& [name, attribute] : node.attributes) {
      if (inside && attribute.graph != nullptr) CollectValues(*attribute.graph, inside, values);
    }
  }
}

// Renames uses in the graph and in subgraphs, except for names that are redefined in a subgraph.
void RenameUses(Graph* graph, const std::map<std::string, std::string>& names) {
  const auto rename = [&](std::string* name) {
    const auto found = names.find(*name);
    if (found != names.end()) *name = found->second;
  };
  for (std::string& result : graph->results) rename(&result);
  for (Node& node : graph->nodes) {
    for (std::string& input : node.inputs) rename(&input);
    for (auto& [name, attribute] : node.attributes) {
      if (attribute.graph == nullptr) continue;
      Names own;
      CollectValues(*attribute.graph, /*inside=*/false, &own);
      std::map<std::string, std::string> captured = names;
      for (const std::string& value : own) captured.erase(value);
      Graph inner = *attribute.graph;
      RenameUses(&inner, captured);
      attribute.graph = std::make_shared<const Graph>(std::move(inner));
    }
  }
}

// Returns the branch of a node of `graph`, with values renamed if the graph uses their names: branches of two Ifs may
// each have a constant "W". A result of the branch may keep the name of the node's output.
Graph WithOwnNames(Graph branch, const Graph& graph, const Node& node) {
  Names around;
  CollectValues(graph, /*inside=*/false, &around);
  Names taken = around;
  CollectValues(branch, /*inside=*/true, &taken);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == branch.results[i]) around.erase(node.outputs[i]);
  }
  Names values;
  CollectValues(branch, /*inside=*/false, &values);
  std::map<std::string, std::string> names;
  for (const std::string& name : values) {
    if (name.empty() || around.count(name) == 0) continue;
    std::string other = node.outputs[0] + "/" + name;
    while (!taken.insert(other).second) other += "_";
    names[name] = other;
  }
  for (const auto& [name, other] : names) {
    const auto constant = branch.constants.find(name);
    if (constant == branch.constants.end()) continue;
    branch.constants[other] = std::move(constant->second);
    branch.constants.erase(constant);
  }
  for (Node& made : branch.nodes) {
    for (std::string& output : made.outputs) {
      if (const auto found = names.find(output); found != names.end()) output = found->second;
    }
  }
  RenameUses(&branch, names);
  return branch;
}

// Replaces node `index` of the graph by the nodes of one of its branches.
Graph Inline(Graph graph, size_t index, const Graph& branch) {
  const Node node = graph.nodes[index];
  if (branch.outputs.size() != node.outputs.size()) {
    throw ConvertError(node.Describe() + ": branch '" + branch.name + "' has a different number of outputs");
  }
  Graph own = WithOwnNames(branch, graph, node);
  graph.constants.merge(own.constants);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == own.results[i]) continue;
    own.nodes.push_back({"Identity", node.name, {own.results[i]}, {node.outputs[i]}, {}});
  }
  const auto at = graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(index));
  graph.nodes.insert(at, std::make_move_iterator(own.nodes.begin()), std::make_move_iterator(own.nodes.end()));
  return graph;
}

// Roughly the memory that a graph takes.
size_t BytesOf(const Graph& graph) {
  size_t bytes = graph.nodes.size() * sizeof(Node) + graph.constants.size() * sizeof(TensorRef);
  const auto add = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) bytes += name.size();
  };
  for (const auto& [name, tensor] : graph.constants) bytes += name.size() + tensor.name.size();
  for (const Node& node : graph.nodes) {
    bytes += node.name.size();
    add(node.inputs);
    add(node.outputs);
    for (const auto& [name, attribute] : node.attributes) {
      if (attribute.graph != nullptr) bytes += BytesOf(*attribute.graph);
    }
  }
  return bytes;
}

class Flattener {
 public:
  // Takes all branches of the Ifs that follow.
  void Flatten(FlatGraph path) {
    std::vector<Node>& nodes = path.graph.nodes;
    const auto found = std::find_if(nodes.begin(), nodes.end(), [](const Node& node) { return node.op == "If"; });
    if (found == nodes.end()) {
      nodes_ += nodes.size();
      if (paths_.size() == kMaxPaths || (nodes_ > kMaxNodes && !paths_.empty())) {
        throw ConvertError("there are too many paths through the Ifs");
      }
      paths_.push_back(std::move(path));
      return;
    }
    const Node node = *found;
    const auto index = static_cast<size_t>(found - nodes.begin());
    if (path.branch_names.size() == kMaxIfs) throw ConvertError(node.Describe() + ": there are too many Ifs before it");
    for (const char* attribute : {"then_branch", "else_branch"}) {
      const auto branch = node.attributes.find(attribute);
      if (branch != node.attributes.end() && branch->second.graph != nullptr) continue;
      throw ConvertError(node.Describe() + ": has no " + attribute);
    }
    const Selector condition = FindCondition(path.graph, node);
    const auto known = std::find_if(path.selectors.begin(), path.selectors.end(),
                                    [&](const Selector& earlier) { return earlier.input == condition.input; });
    // An If inside another on the same input has only one path left.
    if (known != path.selectors.end()) {
      const bool then = known->value == condition.value;
      return Take(std::move(path), node, index, then);
    }
    path.selectors.push_back(condition);
    Take(path, node, index, /*then=*/true);
    path.selectors.back().value = !condition.value;
    Take(std::move(path), node, index, /*then=*/false);
  }

  std::vector<FlatGraph> Paths() && { return std::move(paths_); }

 private:
  void Take(FlatGraph path, const Node& node, size_t index, bool then) {
    const Graph& branch = *node.attributes.at(then ? "then_branch" : "else_branch").graph;
    path.branch_names.push_back(branch.name);
    path.graph = Inline(std::move(path.graph), index, branch);
    bytes_ += BytesOf(path.graph);
    if (bytes_ > kMaxBytes)
      throw ConvertError(node.Describe() + ": there are too many nodes, or too long names, for so many Ifs");
    Flatten(std::move(path));
  }

  std::vector<FlatGraph> paths_;
  size_t nodes_ = 0, bytes_ = 0;
};

}  // namespace

std::vector<FlatGraph> FlattenIfs(const Graph& graph) {
  Flattener flattener;
  flattener.Flatten({{}, {}, WithoutUnused(graph)});
  return std::move(flattener).Paths();
}

}  // namespace tied::converter
