#include "converter/split/known_values.h"

#include <algorithm>

#include "converter/graph/operations.h"

namespace tied::converter {

namespace {

using Type = OperationFacts::Type;

const onnx::AttributeProto* FindAttribute(const onnx::NodeProto& node, const char* name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

}  // namespace

KnownValues::KnownValues(const onnx::GraphProto& graph, const Scope& scope, const KnownValues* outer)
    : scope_(scope), outer_(outer) {
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    Known& known = values_[tensor.name()];
    known.type = tensor.data_type();
    known.rank = tensor.dims_size();
    if (tensor.dims_size() == 1) known.length = static_cast<int>(tensor.dims(0));
  }
  std::map<std::string, Known> declared;
  for (const onnx::ValueInfoProto& value : graph.value_info()) declared[value.name()] = Declared(value);
  for (const onnx::ValueInfoProto& value : graph.input()) values_.emplace(value.name(), Declared(value));
  for (const onnx::NodeProto& node : graph.node()) {
    for (int i = 0; i < node.output_size(); ++i) {
      Known known = i == 0 ? OutputOf(node) : Known{};
      const auto hint = declared.find(node.output(i));
      if (hint != declared.end() && !known.rank) known.rank = hint->second.rank;
      if (hint != declared.end() && !known.type) known.type = hint->second.type;
      values_[node.output(i)] = known;
    }
  }
}

KnownValues::Known KnownValues::Declared(const onnx::ValueInfoProto& value) const {
  const onnx::TypeProto::Tensor& tensor = value.type().tensor_type();
  Known known;
  if (tensor.elem_type() != 0) known.type = tensor.elem_type();
  if (tensor.has_shape()) known.rank = tensor.shape().dim_size();
  return known;
}

KnownValues::Known KnownValues::Find(const std::string& value) const {
  const auto found = values_.find(value);
  if (found != values_.end()) return found->second;
  return outer_ == nullptr ? Known{} : outer_->Find(value);
}

KnownValues::Known KnownValues::OutputOf(const onnx::NodeProto& node) const {
  const std::string& op = node.op_type();
  Known known;
  if (op == "Constant") {
    const onnx::TensorProto* tensor = scope_.Constant(node.output(0));
    if (tensor == nullptr) return known;
    known.type = tensor->data_type();
    known.rank = tensor->dims_size();
    if (tensor->dims_size() == 1) known.length = static_cast<int>(tensor->dims(0));
    return known;
  }
  known.type = TypeOf(node);
  known.rank = RankOf(node);
  if (known.rank == 1) known.length = LengthOf(node);
  return known;
}

std::optional<int> KnownValues::TypeOf(const onnx::NodeProto& node) const {
  const std::string& op = node.op_type();
  const auto type = [&](int i) { return node.input_size() > i ? Find(node.input(i)).type : std::nullopt; };
  if (op == "Cast") {
    const onnx::AttributeProto* to = FindAttribute(node, "to");
    return to == nullptr ? std::nullopt : std::optional(static_cast<int>(to->i()));
  }
  if (op == "GatherBlockQuantized") return type(2);
  if (op == "MatMulIntegerToFloat") return type(3);
  const OperationFacts& facts = FactsOf(op);
  switch (facts.type) {
    case Type::kInt64:
      return onnx::TensorProto::INT64;
    case Type::kBool:
      return onnx::TensorProto::BOOL;
    case Type::kFirst:
      return type(0);
    case Type::kSecond:
      return type(1);
    default:
      return facts.known() ? std::nullopt : type(0);  // most operations keep the type
  }
}

std::optional<int> KnownValues::RankOf(const onnx::NodeProto& node) const {
  const std::string& op = node.op_type();
  const auto rank = [&](int i) { return node.input_size() > i ? Rank(node.input(i)) : std::nullopt; };
  switch (FactsOf(op).rank) {
    case OperationFacts::Rank::kFirst:
      return rank(0);
    case OperationFacts::Rank::kBroadcast:
      return BroadcastRank(node);
    case OperationFacts::Rank::kProduct: {
      const std::optional<int> a = rank(0), b = rank(1);
      return a && b && *a >= 2 && *b >= 2 ? std::optional(std::max(*a, *b)) : std::nullopt;
    }
    case OperationFacts::Rank::kReduction: {
      const onnx::AttributeProto* keep = FindAttribute(node, "keepdims");
      return keep == nullptr || keep->i() != 0 ? rank(0) : std::nullopt;
    }
    case OperationFacts::Rank::kOne:
      return 1;
    case OperationFacts::Rank::kTwo:
      return 2;
    default:
      break;
  }
  if (op == "Gather" || op == "GatherBlockQuantized") {
    return rank(0) && rank(1) ? std::optional(*rank(0) - 1 + *rank(1)) : std::nullopt;
  }
  if (op == "Reshape" || op == "ConstantOfShape") {
    const int shape = op == "Reshape" ? 1 : 0;
    return node.input_size() > shape ? Find(node.input(shape)).length : std::nullopt;
  }
  if (op == "Unsqueeze" || op == "Squeeze") {
    const std::optional<int> axes = CountAxes(node);
    return rank(0) && axes ? std::optional(*rank(0) + (op == "Squeeze" ? -*axes : *axes)) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<int> KnownValues::BroadcastRank(const onnx::NodeProto& node) const {
  int most = 0;
  for (const std::string& input : node.input()) {
    const std::optional<int> rank = Rank(input);
    if (!rank) return std::nullopt;
    most = std::max(most, *rank);
  }
  return most;
}

std::optional<int> KnownValues::CountAxes(const onnx::NodeProto& node) const {
  const onnx::AttributeProto* axes = FindAttribute(node, "axes");
  if (axes != nullptr) return axes->ints_size();
  if (node.input_size() < 2) return std::nullopt;
  const Known input = Find(node.input(1));
  return input.rank == 0 ? 1 : input.length;
}

std::optional<int> KnownValues::LengthOf(const onnx::NodeProto& node) const {
  const std::string& op = node.op_type();
  if (node.input_size() == 0) return std::nullopt;
  const Known first = Find(node.input(0));
  if (op == "Shape") return node.attribute_size() == 0 ? first.rank : std::nullopt;
  if (op == "Unsqueeze" && first.rank == 0) return 1;
  if (op == "Cast" || op == "Identity") return first.length;
  if (op == "Gather" && node.input_size() > 1) return Find(node.input(1)).length;
  if (op != "Concat") return std::nullopt;
  int sum = 0;
  for (const std::string& input : node.input()) {
    const std::optional<int> length = Find(input).length;
    if (!length || *length > 64) return std::nullopt;
    sum += *length;
  }
  return sum;
}

}  // namespace tied::converter
