#include "converter/split.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "converter/error.h"
#include "converter/onnx_import.h"
#include "converter/onnx_slim.h"
#include "converter/pair_graph.h"

namespace tied::converter {

namespace {

constexpr char kEmbeddings[] = "inputs_embeds";
constexpr char kHidden[] = "hidden";
constexpr int kMaxDepth = 16;

bool IsTokenIds(const std::string& name) { return name == "input_ids" || name == "decoder_input_ids"; }

std::string Describe(const onnx::NodeProto& node) {
  const std::string& name = node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
  return "node '" + name + "' (" + node.op_type() + ")";
}

// What the names in a graph stand for: its own values, then those of the graphs around it.
class Scope {
 public:
  Scope(const onnx::GraphProto& graph, const Scope* outer) : outer_(outer) {
    for (const onnx::TensorProto& tensor : graph.initializer()) constants_[tensor.name()] = &tensor;
    for (const onnx::ValueInfoProto& input : graph.input()) inputs_.insert(input.name());
    for (const onnx::NodeProto& node : graph.node()) {
      for (const std::string& output : node.output()) producers_[output] = &node;
    }
  }

  const onnx::TensorProto* Constant(const std::string& name) const {
    const auto found = constants_.find(name);
    if (found != constants_.end()) return found->second;
    const auto producer = producers_.find(name);
    if (producer != producers_.end()) {
      const onnx::NodeProto& node = *producer->second;
      const bool constant = node.op_type() == "Constant" && node.attribute_size() == 1 && node.attribute(0).has_t();
      return constant ? &node.attribute(0).t() : nullptr;
    }
    return outer_ == nullptr ? nullptr : outer_->Constant(name);
  }

  const onnx::NodeProto* Producer(const std::string& name) const {
    const auto found = producers_.find(name);
    if (found != producers_.end()) return found->second;
    return outer_ == nullptr || constants_.count(name) > 0 ? nullptr : outer_->Producer(name);
  }

  bool IsInput(const std::string& name) const {
    return inputs_.count(name) > 0 || (outer_ != nullptr && outer_->IsInput(name));
  }

 private:
  const Scope* outer_;
  std::map<std::string, const onnx::TensorProto*> constants_;
  std::set<std::string> inputs_;
  std::map<std::string, const onnx::NodeProto*> producers_;
};

// The names that a graph's nodes and outputs use, those in its subgraphs included.
void CollectUses(const onnx::GraphProto& graph, std::set<std::string>* uses) {
  for (const onnx::NodeProto& node : graph.node()) {
    uses->insert(node.input().begin(), node.input().end());
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) CollectUses(attribute.g(), uses);
    }
  }
  for (const onnx::ValueInfoProto& output : graph.output()) uses->insert(output.name());
}

template <class Element, class Unused>
void RemoveIf(google::protobuf::RepeatedPtrField<Element>* elements, const Unused& unused) {
  elements->erase(std::remove_if(elements->begin(), elements->end(), unused), elements->end());
}

// Nodes and initializers that nothing uses.
void RemoveUnused(onnx::GraphProto* graph) {
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) RemoveUnused(attribute.mutable_g());
    }
  }
  std::set<std::string> uses;
  for (int before = -1; before != graph->node_size();) {
    before = graph->node_size();
    uses.clear();
    CollectUses(*graph, &uses);
    RemoveIf(graph->mutable_node(), [&](const onnx::NodeProto& node) {
      return std::none_of(node.output().begin(), node.output().end(),
                          [&](const std::string& output) { return uses.count(output) > 0; });
    });
  }
  const auto unused = [&](const auto& named) { return uses.count(named.name()) == 0; };
  RemoveIf(graph->mutable_initializer(), unused);
  RemoveIf(graph->mutable_value_info(), unused);
}

class Splitter {
 public:
  explicit Splitter(const std::string& path) {
    split_.path = path;
    split_.model = ReadSlimModel(path);
  }

  SplitModel Run() {
    onnx::GraphProto* graph = split_.model.mutable_graph();
    CheckNames(*graph);
    ReplaceEmbeddings(graph, nullptr, 0);
    if (!has_table_) throw ConvertError(split_.path + ": no Gather on a constant matrix by input_ids");
    for (int i = 0; i < graph->output_size(); ++i) {
      if (graph->output(i).name() == "logits") ReplaceHead(graph, nullptr, i, 0);
    }
    RemoveUnused(graph);
    CheckGone(*graph, split_.table.name);
    if (split_.head) CheckGone(*graph, split_.head->name);
    SetInputs(graph);
    return std::move(split_);
  }

 private:
  [[noreturn]] void Refuse(const onnx::NodeProto& node, const std::string& reason) const {
    throw ConvertError(split_.path + ": " + Describe(node) + ": " + reason);
  }

  // What is added must not be there already.
  void CheckNames(const onnx::GraphProto& graph) const {
    const Scope scope(graph, nullptr);
    for (const char* name : {kEmbeddings, kHidden}) {
      if (!scope.IsInput(name) && scope.Producer(name) == nullptr && scope.Constant(name) == nullptr) continue;
      throw ConvertError(split_.path + ": has a value called '" + name + "' already");
    }
  }

  void CheckGone(const onnx::GraphProto& graph, const std::string& table) const {
    for (const onnx::NodeProto& node : graph.node()) {
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) CheckGone(attribute.g(), table);
      }
      const bool used = std::count(node.input().begin(), node.input().end(), table) > 0;
      if (used) Refuse(node, "still uses '" + table + "' when the embedding and the head are gone");
    }
  }

  // ---- the embedding

  void ReplaceEmbeddings(onnx::GraphProto* graph, const Scope* outer, int depth) {
    if (depth > kMaxDepth) throw ConvertError(split_.path + ": graphs are nested too deeply");
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    for (int i = 0; i < original.node_size(); ++i) {
      const onnx::NodeProto& node = original.node(i);
      for (onnx::AttributeProto& attribute : *graph->mutable_node(i)->mutable_attribute()) {
        if (attribute.has_g()) ReplaceEmbeddings(attribute.mutable_g(), &scope, depth + 1);
      }
      if (IsEmbedding(node, scope)) ReplaceEmbedding(original, node, scope, graph);
    }
  }

  static bool IsEmbedding(const onnx::NodeProto& node, const Scope& scope) {
    if (node.op_type() != "Gather" || node.input_size() != 2) return false;
    const onnx::TensorProto* table = scope.Constant(node.input(0));
    return table != nullptr && table->dims_size() == 2 && FollowsTokenIds(node.input(1), scope);
  }

  static bool FollowsTokenIds(std::string name, const Scope& scope) {
    static const std::set<std::string> kPassing = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};
    for (int steps = 0; steps < 64; ++steps) {
      if (scope.IsInput(name)) return IsTokenIds(name);
      const onnx::NodeProto* producer = scope.Producer(name);
      if (producer == nullptr || producer->input_size() == 0 || kPassing.count(producer->op_type()) == 0) return false;
      name = producer->input(0);
    }
    return false;
  }

  void ReplaceEmbedding(const onnx::GraphProto& original, const onnx::NodeProto& gather, const Scope& scope,
                        onnx::GraphProto* graph) {
    const onnx::NodeProto* last = &gather;
    std::optional<float> scale;
    for (const onnx::NodeProto& node : original.node()) {
      if (node.op_type() != "Mul" || node.input_size() != 2) continue;
      for (const int i : {0, 1}) {
        const onnx::TensorProto* factor = scope.Constant(node.input(1 - i));
        if (node.input(i) != gather.output(0) || factor == nullptr) continue;
        const TensorRef number = ImportTensor(*factor, split_.path);
        if (number.elements() != 1 || !IsFloat(number.type)) continue;
        scale = number.ReadFloats()[0];
        last = &node;
      }
    }
    SetTable(gather, ImportTensor(*scope.Constant(gather.input(0)), split_.path), scale);
    for (onnx::NodeProto& node : *graph->mutable_node()) {
      if (node.output_size() == 0 || node.output(0) != last->output(0)) continue;
      node.clear_input();
      node.clear_attribute();
      node.set_op_type("Identity");
      node.add_input(kEmbeddings);
    }
  }

  void SetTable(const onnx::NodeProto& node, TensorRef table, std::optional<float> scale) {
    if (!IsFloat(table.type)) Refuse(node, "the table '" + table.name + "' is not of floating-point numbers");
    if (has_table_ && !split_.table.SamePlace(table)) {
      Refuse(node, "reads '" + table.name + "', another Gather by input_ids reads '" + split_.table.name + "'");
    }
    if (has_table_ && split_.scale != scale) Refuse(node, "its rows are scaled in another way than those of another");
    has_table_ = true;
    split_.table = std::move(table);
    split_.scale = scale;
  }

  // ---- the head

  // Output `index` of the graph becomes what the head's product is made from.
  void ReplaceHead(onnx::GraphProto* graph, const Scope* outer, int index, int depth) {
    if (depth > kMaxDepth) throw ConvertError(split_.path + ": graphs are nested too deeply");
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    const std::string logits = original.output(index).name();
    const onnx::NodeProto* node = scope.Producer(logits);
    while (node != nullptr && node->op_type() == "Identity" && node->input_size() == 1) {
      node = scope.Producer(node->input(0));
    }
    if (node == nullptr) throw ConvertError(split_.path + ": output '" + logits + "' is made by nothing");
    const std::string hidden =
        node->op_type() == "If" ? ReplaceInBranches(graph, *node, logits, scope, depth) : RecordHead(*node, scope);
    SetHidden(graph->mutable_output(index), hidden);
    if (outer != nullptr) return;
    onnx::NodeProto* identity = graph->add_node();
    identity->set_op_type("Identity");
    identity->set_name("tied_hidden");
    identity->add_input(hidden);
    identity->add_output(kHidden);
    graph->mutable_output(index)->set_name(kHidden);
  }

  // Returns the name of the If's output, which is the hidden state from now on.
  std::string ReplaceInBranches(onnx::GraphProto* graph, const onnx::NodeProto& node, const std::string& logits,
                                const Scope& scope, int depth) {
    const auto found = std::find(node.output().begin(), node.output().end(), logits);
    if (found == node.output().end()) Refuse(node, "its output '" + logits + "' passes through another node");
    const auto index = static_cast<int>(found - node.output().begin());
    const std::string hidden = logits + "_hidden";
    for (onnx::NodeProto& place : *graph->mutable_node()) {
      if (place.output_size() <= index || place.output(index) != logits) continue;
      place.set_output(index, hidden);
      for (onnx::AttributeProto& attribute : *place.mutable_attribute()) {
        if (!attribute.has_g()) continue;
        if (attribute.g().output_size() <= index) Refuse(node, "a branch has too few outputs");
        ReplaceHead(attribute.mutable_g(), &scope, index, depth + 1);
      }
    }
    return hidden;
  }

  // The MatMul and what is behind it; returns the name of what it multiplies.
  std::string RecordHead(const onnx::NodeProto& last, const Scope& scope) {
    const onnx::NodeProto* product = &last;
    std::optional<TensorRef> bias;
    if (last.op_type() == "Add" && last.input_size() == 2) {
      for (const int i : {0, 1}) {
        const onnx::TensorProto* constant = scope.Constant(last.input(1 - i));
        if (constant == nullptr || scope.Producer(last.input(i)) == nullptr) continue;
        bias = ImportTensor(*constant, split_.path);
        product = scope.Producer(last.input(i));
      }
    }
    if (product->op_type() != "MatMul" || product->input_size() != 2) {
      Refuse(*product, "makes the logits; a MatMul with the table, and a sum with a bias behind it, are understood");
    }
    const onnx::TensorProto* matrix = scope.Constant(product->input(1));
    const onnx::NodeProto* transpose = matrix == nullptr ? scope.Producer(product->input(1)) : nullptr;
    if (transpose != nullptr && transpose->op_type() == "Transpose") matrix = scope.Constant(transpose->input(0));
    if (matrix == nullptr || matrix->dims_size() != 2) Refuse(*product, "its second operand is no constant matrix");
    SetHead(*product, ImportTensor(*matrix, split_.path), transpose == nullptr, std::move(bias));
    return product->input(0);
  }

  void SetHead(const onnx::NodeProto& node, TensorRef head, bool transposed, std::optional<TensorRef> bias) {
    const bool same_bias = split_.bias.has_value() == bias.has_value() && (!bias || split_.bias->SamePlace(*bias));
    if (split_.head && (!split_.head->SamePlace(head) || split_.head_transposed != transposed || !same_bias)) {
      Refuse(node, "another branch makes its logits from another matrix or bias");
    }
    if (bias && bias->elements() != static_cast<uint64_t>(head.dims[transposed ? 1 : 0])) {
      Refuse(node, "the bias '" + bias->name + "' is not one number for each token of the vocabulary");
    }
    split_.head = std::move(head);
    split_.head_transposed = transposed;
    split_.bias = std::move(bias);
  }

  // ---- inputs and outputs

  void SetHidden(onnx::ValueInfoProto* output, const std::string& name) const {
    output->set_name(name);
    SetShape(output, split_.head->onnx_type, split_.head->dims[split_.head_transposed ? 0 : 1]);
  }

  static void SetShape(onnx::ValueInfoProto* value, int type, int64_t cols) {
    onnx::TypeProto_Tensor* tensor = value->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->clear_shape();
    tensor->mutable_shape()->add_dim()->set_dim_param("tied_batch");
    tensor->mutable_shape()->add_dim()->set_dim_param("tied_sequence");
    tensor->mutable_shape()->add_dim()->set_dim_value(cols);
  }

  void SetInputs(onnx::GraphProto* graph) const {
    std::set<std::string> uses;
    CollectUses(*graph, &uses);
    RemoveIf(graph->mutable_input(), [&](const onnx::ValueInfoProto& input) {
      return IsTokenIds(input.name()) && uses.count(input.name()) == 0;
    });
    onnx::ValueInfoProto* input = graph->add_input();
    input->set_name(kEmbeddings);
    SetShape(input, split_.table.onnx_type, split_.table.dims[1]);
  }

  SplitModel split_;
  bool has_table_ = false;
};

}  // namespace

SplitModel SplitOnnx(const std::string& path) { return Splitter(path).Run(); }

Graph PairOf(const SplitModel& decoder) {
  if (!decoder.head) throw ConvertError(decoder.path + ": has no output 'logits'");
  return MakePairGraph({decoder.table, decoder.scale, *decoder.head, decoder.head_transposed, decoder.bias});
}

}  // namespace tied::converter
