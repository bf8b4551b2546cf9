#include "converter/split/names.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "converter/graph/operations.h"

namespace tied::converter {

namespace {

constexpr int kMaxViews = 64;  // between an input and its use

bool IsIntegers(const onnx::ValueInfoProto& value) {
  const int type = value.type().tensor_type().elem_type();
  return type == onnx::TensorProto::INT64 || type == onnx::TensorProto::INT32;
}

void VisitLookups(const onnx::GraphProto& graph, const Scope* outer, std::set<std::string> inputs,
                  const VisitLookup& visit) {
  const Scope scope(graph, outer);
  // The body of a Loop may redefine the name as an input.
  if (outer != nullptr) {
    for (const onnx::ValueInfoProto& own : graph.input()) inputs.erase(own.name());
  }
  for (const onnx::NodeProto& node : graph.node()) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) VisitLookups(attribute.g(), &scope, inputs, visit);
    }
    const bool gather = node.op_type() == "Gather" || node.op_type() == "GatherBlockQuantized";
    if (!gather || node.input_size() < 2 || node.output_size() == 0) continue;
    const onnx::TensorProto* matrix = MatrixOf(node.input(0), scope);
    if (matrix == nullptr) continue;
    const std::string input = InputBehind(node.input(1), scope);
    if (inputs.count(input) > 0) visit(node, input, *matrix);
  }
}

bool HasRows(const onnx::TensorProto& matrix, int64_t rows) {
  return rows == 0 || std::count(matrix.dims().begin(), matrix.dims().end(), rows) > 0;
}

std::string Join(const std::set<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "'" : ", '") + name + "'";
  return list;
}

}  // namespace

std::string InputBehind(std::string value, const Scope& scope) {
  for (int steps = 0; steps < kMaxViews; ++steps) {
    if (scope.Initializer(value) != nullptr) return "";
    if (scope.IsInput(value)) return value;
    const onnx::NodeProto* producer = scope.Producer(value);
    if (producer == nullptr || producer->input_size() == 0 || !FactsOf(producer->op_type()).passes_numbers()) return "";
    value = producer->input(0);
  }
  return "";
}

const onnx::TensorProto* MatrixOf(std::string value, const Scope& scope) {
  if (!scope.IsConstant(value)) return nullptr;
  while (scope.Constant(value) == nullptr) {
    const onnx::NodeProto* node = scope.Producer(value);
    if (node == nullptr || node->input_size() == 0) return nullptr;
    value = node->input(0);
  }
  const onnx::TensorProto* tensor = scope.Constant(value);
  return tensor->dims_size() >= 2 ? tensor : nullptr;
}

void ForEachLookup(const onnx::GraphProto& graph, const VisitLookup& visit) {
  std::set<std::string> inputs;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (IsIntegers(input)) inputs.insert(input.name());
  }
  VisitLookups(graph, nullptr, std::move(inputs), visit);
}

std::set<std::string> ChooseIds(const onnx::GraphProto& graph, const std::string& path, const std::string& given,
                                int64_t vocabulary) {
  std::set<std::string> all, named, fitting;
  ForEachLookup(graph, [&](const onnx::NodeProto&, const std::string& input, const onnx::TensorProto& matrix) {
    all.insert(input);
    if (input == kIds || input == kDecoderIds) named.insert(input);
    if (HasRows(matrix, vocabulary)) fitting.insert(input);
  });
  if (!given.empty()) {
    const bool input = std::any_of(graph.input().begin(), graph.input().end(),
                                   [&](const onnx::ValueInfoProto& value) { return value.name() == given; });
    if (!input) throw ConvertError(path + ": has no input '" + given + "'; its inputs are " + ListNames(graph.input()));
    if (all.count(given) == 0) throw ConvertError(path + ": no Gather on a constant matrix by '" + given + "'");
    return {given};
  }
  if (!named.empty()) return named;
  if (fitting.size() <= 1) return fitting;
  throw ConvertError(path + ": token ids may be any of the inputs " + Join(fitting) +
                     ", which look up rows of matrices; choose one with --ids NAME");
}

onnx::NodeProto Identity(const std::string& name, const std::string& from, const std::string& to) {
  onnx::NodeProto node;
  node.set_op_type("Identity");
  node.set_name(name);
  node.add_input(from);
  node.add_output(to);
  return node;
}

onnx::ValueInfoProto Declare(const std::string& name, int type, int64_t width, int rank, const std::string& prefix) {
  onnx::ValueInfoProto value;
  value.set_name(name);
  onnx::TypeProto_Tensor* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  onnx::TensorShapeProto* shape = tensor->mutable_shape();
  for (int i = 0; i < rank - 1; ++i) {
    const std::string middle = "dim_" + std::to_string(i);
    shape->add_dim()->set_dim_param(prefix + (i == 0 ? "batch" : i == rank - 2 ? "sequence" : middle));
  }
  if (width > 0) shape->add_dim()->set_dim_value(width);
  return value;
}

void ClearName(const std::string& name, const std::string& path, const std::string& advice, onnx::GraphProto* graph) {
  const auto has = [&](const auto& values) {
    return std::any_of(values.begin(), values.end(), [&](const auto& value) { return value.name() == name; });
  };
  if (has(graph->input()) || has(graph->output())) {
    throw ConvertError(path + ": already has a value named '" + name + "'; " + advice);
  }
  std::string other = name + "_";
  std::set<std::string> taken;
  CollectUses(*graph, &taken);
  for (const onnx::NodeProto& node : graph->node()) taken.insert(node.output().begin(), node.output().end());
  if (taken.count(name) == 0) return;
  while (taken.count(other) > 0) other += "_";
  RenameValue(graph, name, other);
}

}  // namespace tied::converter
