#include "converter/split/integers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "converter/onnx/scope.h"
#include "converter/split/names.h"

namespace tied::converter {

namespace {

bool IsBytes(const onnx::TensorProto& tensor) {
  return tensor.data_type() == onnx::TensorProto::UINT8 || tensor.data_type() == onnx::TensorProto::INT8;
}

bool IsOne(const onnx::TensorProto* tensor) {
  if (tensor == nullptr) return false;
  return std::all_of(tensor->dims().begin(), tensor->dims().end(), [](int64_t dim) { return dim == 1; });
}

struct Step {
  std::string scale, zero_point;  // "" for none
};

// Adds nodes with new names to a graph.
class NodeAdder {
 public:
  explicit NodeAdder(onnx::GraphProto* graph) : graph_(graph) {
    CollectUses(*graph, &taken_);
    for (const onnx::NodeProto& node : graph->node()) taken_.insert(node.output().begin(), node.output().end());
  }

  std::string FreshName(std::string name) {
    while (!taken_.insert(name).second) name += "_";
    return name;
  }

  void Add(const char* op, const std::string& input, const Step& step, const std::string& output) {
    onnx::NodeProto* node = graph_->add_node();
    node->set_op_type(op);
    node->set_name(FreshName(output + "_node"));
    for (const std::string& value : {input, step.scale, step.zero_point}) {
      if (!value.empty()) node->add_input(value);
    }
    node->add_output(output);
  }

 private:
  onnx::GraphProto* graph_;
  std::set<std::string> taken_;
};

class Rows {
 public:
  Rows(onnx::GraphProto* graph, const Scope& scope) : graph_(graph), scope_(scope), adder_(graph) {
    for (int i = 0; i < graph->node_size(); ++i) {
      for (const std::string& input : graph->node(i).input()) users_[input].push_back(i);
      for (const onnx::AttributeProto& attribute : graph->node(i).attribute()) {
        if (attribute.has_g()) CollectUses(attribute.g(), &used_elsewhere_);
      }
    }
    for (const onnx::ValueInfoProto& output : graph->output()) used_elsewhere_.insert(output.name());
  }

  // Dequantises the rows that node `index` looks up, once for all users.
  void Unite(int index) {
    const std::string rows = graph_->node(index).output(0);
    const std::optional<Step> step = FindStep(rows);
    bool used = used_elsewhere_.count(rows) > 0;
    if (!step || (!used && users_[rows].size() == 1 && IsDequantised(users_[rows][0], rows, *step))) return;
    const std::string integers = adder_.FreshName(rows + "_rows"), numbers = adder_.FreshName(rows + "_numbers");
    for (const int user : users_[rows]) {
      onnx::NodeProto* node = graph_->mutable_node(user);
      if (!IsDequantised(user, rows, *step)) {
        used = true;
      } else {
        *node = Identity(node->name(), numbers, node->output(0));
      }
    }
    graph_->mutable_node(index)->set_output(0, integers);
    adder_.Add("DequantizeLinear", integers, *step, numbers);
    if (used) adder_.Add("QuantizeLinear", numbers, *step, rows);
  }

 private:
  bool IsDequantised(int user, const std::string& rows, const Step& step) const {
    const onnx::NodeProto& node = graph_->node(user);
    const std::string zero_point = node.input_size() > 2 ? node.input(2) : "";
    return node.op_type() == "DequantizeLinear" && node.input_size() > 1 && node.input(0) == rows &&
           node.input(1) == step.scale && zero_point == step.zero_point;
  }

  // The step (scale and zero point) that the users of the integers give, also in ONNX Runtime's integer operations.
  std::optional<Step> FindStep(const std::string& rows) {
    for (const int user : users_[rows]) {
      const onnx::NodeProto& node = graph_->node(user);
      const bool linear = node.op_type() == "DequantizeLinear" || node.op_type().rfind("QLinear", 0) == 0;
      for (int i = 0; linear && i + 1 < node.input_size(); ++i) {
        if (node.input(i) != rows || !IsOne(scope_.Constant(node.input(i + 1)))) continue;
        return Step{node.input(i + 1), i + 2 < node.input_size() ? node.input(i + 2) : ""};
      }
    }
    return std::nullopt;
  }

  onnx::GraphProto* graph_;
  const Scope& scope_;
  NodeAdder adder_;
  std::map<std::string, std::vector<int>> users_;  // nodes, by their inputs
  std::set<std::string> used_elsewhere_;           // outputs, and values that subgraphs use
};

void UniteIn(onnx::GraphProto* graph, const Scope* outer, std::set<std::string> ids) {
  const onnx::GraphProto original = *graph;
  const Scope scope(original, outer);
  if (outer != nullptr) {
    for (const onnx::ValueInfoProto& own : original.input()) ids.erase(own.name());
  }
  Rows rows(graph, scope);
  for (int i = 0; i < original.node_size(); ++i) {
    for (onnx::AttributeProto& attribute : *graph->mutable_node(i)->mutable_attribute()) {
      if (attribute.has_g()) UniteIn(attribute.mutable_g(), &scope, ids);
    }
    const onnx::NodeProto& node = original.node(i);
    if (node.op_type() != "Gather" || node.input_size() < 2 || node.output_size() == 0) continue;
    const onnx::TensorProto* matrix = MatrixOf(node.input(0), scope);
    if (matrix != nullptr && IsBytes(*matrix) && ids.count(InputBehind(node.input(1), scope)) > 0) rows.Unite(i);
  }
}

constexpr int kMaxViews = 8;  // between a product and an output

}  // namespace

void RestoreHidden(int index, onnx::GraphProto* graph) {
  static const std::set<std::string> kPassing = {"Cast", "DequantizeLinear", "Identity"};
  std::map<std::string, int> producers;
  for (int i = 0; i < graph->node_size(); ++i) {
    for (const std::string& output : graph->node(i).output()) producers[output] = i;
  }
  auto found = producers.find(graph->output(index).name());
  for (int i = 0; i < kMaxViews && found != producers.end(); ++i) {
    const onnx::NodeProto& node = graph->node(found->second);
    if (kPassing.count(node.op_type()) == 0 || node.input_size() == 0) break;
    found = producers.find(node.input(0));
  }
  if (found == producers.end()) return;
  onnx::NodeProto* product = graph->mutable_node(found->second);
  if (product->op_type() != "QLinearMatMul" || product->input_size() < 3) return;
  const auto hidden = producers.find(product->input(0));
  if (hidden == producers.end() || graph->node(hidden->second).op_type() == "QuantizeLinear") return;
  const Step step{product->input(1), product->input(2)};
  NodeAdder adder(graph);
  const std::string integers = product->input(0);
  const std::string numbers = adder.FreshName(integers + "_numbers"), rounded = adder.FreshName(integers + "_rounded");
  product->set_input(0, rounded);
  adder.Add("DequantizeLinear", integers, step, numbers);
  adder.Add("QuantizeLinear", numbers, step, rounded);
  SortNodes(graph);
}

void UniteIntegerRows(const std::set<std::string>& ids, onnx::GraphProto* graph) {
  UniteIn(graph, nullptr, ids);
  SortNodes(graph);
}

}  // namespace tied::converter
