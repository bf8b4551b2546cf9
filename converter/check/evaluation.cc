#include "converter/check/evaluation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "converter/check/operations.h"

namespace tied::converter {

Evaluation::Evaluation(const Graph& graph, const Evaluation* outer, Arithmetic arithmetic,
                       const std::vector<bool>& kept)
    : graph_(graph), outer_(outer), arithmetic_(arithmetic), kept_(kept) {
  for (const Node& node : graph.nodes) {
    for (const std::string& output : node.outputs) producers_[output] = &node;
  }
}

namespace {

[[noreturn]] void RefuseOutput(const Node& node, const std::string& output) {
  throw ConvertError(node.Describe() + ": the reference evaluation does not compute its output '" + output + "'");
}

}  // namespace

const Array& Evaluation::Get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  if (const TensorRef* constant = graph_.FindConstant(name)) {
    Array& value = values_[name] = Array::Load(*constant);
    value.fixed = true;
    return value;
  }
  const auto producer = producers_.find(name);
  if (producer != producers_.end()) {
    Make(producer->second);
    if (values_.count(name) == 0) RefuseOutput(*producer->second, name);
    return values_.at(name);
  }
  if (outer_ == nullptr) throw ConvertError("value '" + name + "' is not computed");
  return outer_->Get(name);
}

// Runs a node after the nodes that it needs. Not recursive, because long chains of nodes would overflow the stack.
void Evaluation::Make(const Node* last) const {
  std::vector<const Node*> path = {last};
  const Node* ran = nullptr;
  while (!path.empty()) {
    const Node& node = *path.back();
    const auto missing = std::find_if(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
      return !input.empty() && values_.count(input) == 0 && producers_.count(input) > 0;
    });
    if (missing == node.inputs.end()) {
      Run(node);
      ran = &node;
      path.pop_back();
      continue;
    }
    path.push_back(producers_.at(*missing));
    if (path.back() == ran) RefuseOutput(*ran, *missing);
  }
}

void Evaluation::Run(const Node& node) const {
  const Operation* operation = FindOperation(node.op);
  if (operation == nullptr && node.op != "If") {
    throw ConvertError(node.Describe() + ": the reference evaluation does not support it");
  }
  std::vector<Array> outputs = operation == nullptr ? RunIf(node) : (*operation)(Call(*this, node));
  const auto is_fixed = [&](const std::string& input) { return input.empty() || Get(input).fixed; };
  const bool fixed = node.op != "If" && std::all_of(node.inputs.begin(), node.inputs.end(), is_fixed);
  for (size_t i = 0; i < std::min(outputs.size(), node.outputs.size()); ++i) {
    outputs[i].fixed = fixed;
    values_[node.outputs[i]] = std::move(outputs[i]);
  }
}

std::vector<Array> Evaluation::RunIf(const Node& node) const {
  const bool then = Call(*this, node).Input(0).Int(0) != 0;
  const Graph& branch = *node.attributes.at(then ? "then_branch" : "else_branch").graph;
  const Evaluation evaluation(branch, this, arithmetic_, kept_);
  std::vector<Array> outputs;
  for (size_t i = 0; i < node.outputs.size(); ++i) outputs.push_back(evaluation.Get(branch.results[i]));
  return outputs;
}

const Array& Call::Input(size_t i) const {
  if (!Has(i)) Refuse("has no input " + std::to_string(i));
  return evaluation_.Get(node_.Input(i));
}

std::vector<int64_t> Call::Ints(size_t input, const char* attribute) const {
  const auto found = node_.attributes.find(attribute);
  if (found != node_.attributes.end()) return found->second.ints;
  std::vector<int64_t> ints;
  if (!Has(input)) return ints;
  const Array& array = Input(input);
  for (int64_t i = 0; i < array.size(); ++i) ints.push_back(array.Int(i));
  return ints;
}

size_t Call::AxisOf(int64_t axis, size_t rank) const {
  const auto count = static_cast<int64_t>(rank);
  if (axis < -count || axis >= count) Refuse("has no axis " + std::to_string(axis));
  return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

double Call::Number(double value) const { return magnitudes() ? std::fabs(value) : value; }

double Call::Logit(const Array& array, int64_t position) const {
  const std::vector<bool>& kept = evaluation_.kept_;
  const auto width = static_cast<size_t>(array.dims.back());
  if (width != kept.size() || kept[static_cast<size_t>(position) % width]) return Number(array, position);
  return magnitudes() ? 0 : -INFINITY;
}

void Call::Refuse(const std::string& reason) const { throw ConvertError(node_.Describe() + ": " + reason); }

std::map<std::string, Array> Evaluate(const Graph& graph, const std::map<std::string, Array>& inputs,
                                      Arithmetic arithmetic, const std::vector<bool>& kept) {
  Evaluation evaluation(graph, nullptr, arithmetic, kept);
  for (const auto& [name, value] : inputs) evaluation.Set(name, value);
  std::map<std::string, Array> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) outputs[graph.outputs[i].name] = evaluation.Get(graph.results[i]);
  return outputs;
}

}  // namespace tied::converter
