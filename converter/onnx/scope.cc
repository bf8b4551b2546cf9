#include "converter/onnx/scope.h"

#include <algorithm>

#include "converter/graph/graph.h"

namespace tied::converter {

namespace {

bool HasGraph(const onnx::NodeProto& node) {
  return std::any_of(node.attribute().begin(), node.attribute().end(),
                     [](const onnx::AttributeProto& attribute) { return attribute.has_g(); });
}

std::set<const onnx::NodeProto*> NodesOf(const Scope& scope, const Slice& slice) {
  std::set<const onnx::NodeProto*> nodes;
  std::set<std::string> values = {slice.value};
  for (int step = 0; step < slice.steps && !values.empty(); ++step) {
    std::set<std::string> next;
    for (const std::string& value : values) {
      const onnx::NodeProto* node = scope.Producer(value);
      if (value == slice.from || node == nullptr || HasGraph(*node) || !nodes.insert(node).second) continue;
      next.insert(node->input().begin(), node->input().end());
    }
    values = std::move(next);
  }
  std::vector<const onnx::NodeProto*> open(nodes.begin(), nodes.end());
  while (!open.empty()) {
    const onnx::NodeProto* user = open.back();
    open.pop_back();
    for (const std::string& input : user->input()) {
      const onnx::NodeProto* node = scope.Producer(input);
      if (node != nullptr && scope.IsConstant(input) && nodes.insert(node).second) open.push_back(node);
    }
  }
  return nodes;
}

// The values that a node uses, including its subgraphs.
std::set<std::string> UsesOf(const onnx::NodeProto& node) {
  std::set<std::string> uses(node.input().begin(), node.input().end());
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) CollectUses(attribute.g(), &uses);
  }
  return uses;
}

}  // namespace

std::string Describe(const onnx::NodeProto& node) {
  return DescribeNode(node.name(), node.output_size() == 0 ? "" : node.output(0), node.op_type());
}

void CollectUses(const onnx::GraphProto& graph, std::set<std::string>* uses) {
  for (const onnx::NodeProto& node : graph.node()) uses->merge(UsesOf(node));
  for (const onnx::ValueInfoProto& output : graph.output()) uses->insert(output.name());
}

Uses::Uses(const onnx::GraphProto& graph) {
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& input : node.input()) {
      Use& use = uses_[input];
      ++use.count;
      use.node = &node;
    }
    std::set<std::string> inside;
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) CollectUses(attribute.g(), &inside);
    }
    for (const std::string& value : inside) uses_[value].count += 2;
  }
  for (const onnx::ValueInfoProto& output : graph.output()) uses_[output.name()].count += 2;
}

const onnx::NodeProto* Uses::OnlyUser(const std::string& value) const {
  const auto use = uses_.find(value);
  return use != uses_.end() && use->second.count == 1 ? use->second.node : nullptr;
}

void RenameValue(onnx::GraphProto* graph, const std::string& from, const std::string& to) {
  const auto rename = [&](auto* values) {
    for (auto& value : *values) {
      if (value.name() == from) value.set_name(to);
    }
  };
  rename(graph->mutable_input());
  rename(graph->mutable_output());
  rename(graph->mutable_initializer());
  rename(graph->mutable_value_info());
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    std::replace(node.mutable_input()->begin(), node.mutable_input()->end(), from, to);
    std::replace(node.mutable_output()->begin(), node.mutable_output()->end(), from, to);
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) RenameValue(attribute.mutable_g(), from, to);
    }
  }
}

void SortNodes(onnx::GraphProto* graph) {
  std::map<std::string, int> producers;
  for (int i = 0; i < graph->node_size(); ++i) {
    for (const std::string& output : graph->node(i).output()) {
      if (!output.empty()) producers[output] = i;
    }
    for (onnx::AttributeProto& attribute : *graph->mutable_node(i)->mutable_attribute()) {
      if (attribute.has_g()) SortNodes(attribute.mutable_g());
    }
  }
  std::vector<int> order;
  std::vector<bool> entered(static_cast<size_t>(graph->node_size()));
  std::vector<std::pair<int, std::set<std::string>>> path;  // nodes being visited, with their remaining uses
  const auto enter = [&](int i) {
    if (entered[static_cast<size_t>(i)]) return;
    entered[static_cast<size_t>(i)] = true;
    path.emplace_back(i, UsesOf(graph->node(i)));
  };
  for (int i = 0; i < graph->node_size(); ++i) {
    enter(i);
    while (!path.empty()) {
      std::set<std::string>& uses = path.back().second;
      if (uses.empty()) {
        order.push_back(path.back().first);
        path.pop_back();
        continue;
      }
      const auto producer = producers.find(*uses.begin());
      uses.erase(uses.begin());
      if (producer != producers.end()) enter(producer->second);
    }
  }
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  nodes.Swap(graph->mutable_node());
  for (const int i : order) graph->add_node()->Swap(nodes.Mutable(i));
}

void RemoveUnused(onnx::GraphProto* graph) {
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) RemoveUnused(attribute.mutable_g());
    }
  }
  std::set<std::string> uses;
  for (const onnx::ValueInfoProto& output : graph->output()) uses.insert(output.name());
  std::set<const onnx::NodeProto*> unused_nodes;
  for (int i = graph->node_size(); i-- > 0;) {
    const onnx::NodeProto& node = graph->node(i);
    if (std::any_of(node.output().begin(), node.output().end(),
                    [&](const std::string& output) { return uses.count(output) > 0; })) {
      uses.merge(UsesOf(node));
    } else {
      unused_nodes.insert(&node);
    }
  }
  RemoveIf(graph->mutable_node(), [&](const onnx::NodeProto& node) { return unused_nodes.count(&node) > 0; });
  const auto unused = [&](const auto& named) { return uses.count(named.name()) == 0; };
  RemoveIf(graph->mutable_initializer(), unused);
  RemoveIf(graph->mutable_value_info(), unused);
}

Scope::Scope(const onnx::GraphProto& graph, const Scope* outer) : outer_(outer) {
  for (const onnx::TensorProto& tensor : graph.initializer()) initializers_[tensor.name()] = &tensor;
  for (const onnx::ValueInfoProto& input : graph.input()) inputs_.insert(input.name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) producers_[output] = &node;
    places_.emplace(&node, static_cast<int>(places_.size()));
  }
  // Visits each node once, in order, because constants may have many uses.
  for (const onnx::NodeProto& node : graph.node()) {
    const bool constant = node.input_size() == 0
                              ? node.op_type() == "Constant"
                              : std::all_of(node.input().begin(), node.input().end(),
                                            [&](const std::string& input) { return IsConstant(input); });
    if (constant && !HasGraph(node)) constants_.insert(node.output().begin(), node.output().end());
  }
}

const onnx::TensorProto* Scope::Initializer(const std::string& name) const {
  const auto found = initializers_.find(name);
  if (found != initializers_.end()) return found->second;
  return outer_ == nullptr || producers_.count(name) > 0 ? nullptr : outer_->Initializer(name);
}

const onnx::TensorProto* Scope::Constant(const std::string& name) const {
  if (const onnx::TensorProto* initializer = Initializer(name)) return initializer;
  const onnx::NodeProto* node = Producer(name);
  const bool constant = node != nullptr && node->op_type() == "Constant" && node->attribute_size() == 1;
  return constant && node->attribute(0).has_t() ? &node->attribute(0).t() : nullptr;
}

const onnx::NodeProto* Scope::Producer(const std::string& name) const {
  if (name.empty()) return nullptr;
  const auto found = producers_.find(name);
  if (found != producers_.end()) return found->second;
  return outer_ == nullptr || initializers_.count(name) > 0 ? nullptr : outer_->Producer(name);
}

bool Scope::IsInput(const std::string& name) const {
  return inputs_.count(name) > 0 || (outer_ != nullptr && outer_->IsInput(name));
}

bool Scope::IsConstant(const std::string& name) const {
  if (name.empty() || initializers_.count(name) > 0 || constants_.count(name) > 0) return true;
  const bool own = producers_.count(name) > 0 || inputs_.count(name) > 0;
  return !own && outer_ != nullptr && outer_->IsConstant(name);
}

std::vector<const onnx::NodeProto*> Scope::InOrder(const std::set<const onnx::NodeProto*>& nodes) const {
  std::vector<const onnx::NodeProto*> ordered;
  if (outer_ != nullptr) ordered = outer_->InOrder(nodes);
  std::vector<std::pair<int, const onnx::NodeProto*>> own;
  for (const onnx::NodeProto* node : nodes) {
    const auto place = places_.find(node);
    if (place != places_.end()) own.emplace_back(place->second, node);
  }
  std::sort(own.begin(), own.end());
  for (const auto& [place, node] : own) ordered.push_back(node);
  return ordered;
}

onnx::GraphProto CutOut(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
                        const onnx::ValueInfoProto& output) {
  onnx::GraphProto graph;
  const auto rename = [&](std::string* name) {
    if (*name == slice.from && !name->empty()) *name = input.name();
  };
  std::set<std::string> made = {"", input.name()};
  if (!slice.from.empty()) *graph.add_input() = input;
  for (const onnx::NodeProto* original : scope.InOrder(NodesOf(scope, slice))) {
    onnx::NodeProto* node = graph.add_node();
    *node = *original;
    for (std::string& value : *node->mutable_input()) {
      const onnx::TensorProto* initializer = scope.Initializer(value);
      if (initializer == nullptr) rename(&value);
      if (!made.insert(value).second) continue;
      if (initializer != nullptr) {
        *graph.add_initializer() = *initializer;
        continue;
      }
      onnx::ValueInfoProto* other = graph.add_input();
      other->set_name(value);
      other->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
    }
    for (std::string& value : *node->mutable_output()) {
      rename(&value);
      made.insert(value);
    }
  }
  *graph.add_output() = output;
  graph.mutable_output(0)->set_name(slice.value);
  return graph;
}

}  // namespace tied::converter
