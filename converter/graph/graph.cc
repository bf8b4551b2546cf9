#include "converter/graph/graph.h"

#include <algorithm>
#include <sstream>

namespace tied::converter {

namespace {

std::string Join(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : ", ") + part;
  return joined;
}

template <class Number>
std::string Join(const std::vector<Number>& numbers) {
  std::ostringstream out;
  for (size_t i = 0; i < numbers.size(); ++i) out << (i == 0 ? "" : ", ") << numbers[i];
  return out.str();
}

std::string ToText(const Attribute& attribute) {
  std::ostringstream out;
  if (attribute.i) out << *attribute.i;
  if (attribute.f) out << *attribute.f;
  if (!attribute.ints.empty()) out << '[' << Join(attribute.ints) << ']';
  if (!attribute.floats.empty()) out << '[' << Join(attribute.floats) << ']';
  out << attribute.s;
  if (attribute.tensor) out << "tensor[" << Join(attribute.tensor->dims) << ']';
  if (attribute.graph) out << "graph " << attribute.graph->name;
  return out.str();
}

// Includes the uses in subgraphs.
void CollectUses(const Node& node, std::set<std::string>* uses) {
  uses->insert(node.inputs.begin(), node.inputs.end());
  for (const auto& [name, attribute] : node.attributes) {
    if (attribute.graph == nullptr) continue;
    uses->insert(attribute.graph->results.begin(), attribute.graph->results.end());
    for (const Node& inner : attribute.graph->nodes) CollectUses(inner, uses);
  }
}

}  // namespace

std::string DescribeNode(const std::string& name, const std::string& first_output, const std::string& op) {
  const std::string text = "node '" + (name.empty() ? first_output : name) + "'";
  return op.rfind("tied.", 0) == 0 ? text : text + " (" + op + ")";  // those of the passes mean nothing to a user
}

const std::string& Node::Input(size_t i) const {
  static const std::string kNone;
  return i < inputs.size() ? inputs[i] : kNone;
}

int64_t Node::Int(const std::string& attribute, int64_t otherwise) const {
  const auto found = attributes.find(attribute);
  return found != attributes.end() && found->second.i ? *found->second.i : otherwise;
}

float Node::Float(const std::string& attribute, float otherwise) const {
  const auto found = attributes.find(attribute);
  return found != attributes.end() && found->second.f ? *found->second.f : otherwise;
}

std::string Node::Describe() const {
  return DescribeNode(name, outputs.empty() ? "" : outputs[0], stands_for.empty() ? op : stands_for);
}

const TensorRef* Graph::FindConstant(const std::string& constant) const {
  const auto found = constants.find(constant);
  return found == constants.end() ? nullptr : &found->second;
}

const ValueInfo* Graph::FindInput(const std::string& input) const {
  for (const ValueInfo& info : inputs) {
    if (info.name == input) return &info;
  }
  return nullptr;
}

const Node* Graph::FindProducer(const std::string& value) const {
  if (value.empty()) return nullptr;
  for (const Node& node : nodes) {
    for (const std::string& output : node.outputs) {
      if (output == value) return &node;
    }
  }
  return nullptr;
}

std::string Graph::FreshName(std::string wanted) const {
  while (FindConstant(wanted) != nullptr || FindInput(wanted) != nullptr || FindProducer(wanted) != nullptr) {
    wanted += '_';
  }
  return wanted;
}

void Graph::ReplaceUses(const std::string& value, const std::string& by) {
  if (value.empty()) return;
  for (Node& node : nodes) std::replace(node.inputs.begin(), node.inputs.end(), value, by);
  std::replace(results.begin(), results.end(), value, by);
}

std::set<std::string> FilesOf(const Graph& graph) {
  std::set<std::string> files;
  for (const auto& [name, tensor] : graph.constants) files.insert(tensor.path);
  for (const Node& node : graph.nodes) {
    for (const auto& [name, attribute] : node.attributes) {
      if (attribute.tensor) files.insert(attribute.tensor->path);
      if (attribute.graph != nullptr) files.merge(FilesOf(*attribute.graph));
    }
  }
  files.erase("");
  return files;
}

Graph WithoutUnused(const Graph& graph) {
  Graph used = graph;
  used.nodes.clear();
  std::set<std::string> uses(graph.results.begin(), graph.results.end());
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::none_of(node->outputs.begin(), node->outputs.end(),
                     [&](const std::string& output) { return uses.count(output) > 0; })) {
      continue;
    }
    CollectUses(*node, &uses);
    used.nodes.push_back(*node);
  }
  std::reverse(used.nodes.begin(), used.nodes.end());
  for (const auto& [name, tensor] : graph.constants) {
    if (uses.count(name) == 0) used.constants.erase(name);
  }
  return used;
}

std::string ToText(const Graph& graph) {
  std::ostringstream out;
  std::vector<std::string> names;
  for (const ValueInfo& input : graph.inputs) names.push_back(input.name);
  out << graph.name << '(' << Join(names) << ")\n";
  for (const auto& [name, tensor] : graph.constants)
    out << "  " << name << " = constant[" << Join(tensor.dims) << "]\n";
  for (const Node& node : graph.nodes) {
    out << "  " << Join(node.outputs) << " = " << node.op << '(' << Join(node.inputs) << ')';
    const char* separator = " {";
    for (const auto& [name, attribute] : node.attributes) {
      out << separator << name << '=' << ToText(attribute);
      separator = ", ";
    }
    out << (node.attributes.empty() ? "\n" : "}\n");
  }
  out << "  return " << Join(graph.results) << '\n';
  return out.str();
}

}  // namespace tied::converter
