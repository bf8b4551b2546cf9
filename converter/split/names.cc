#include "converter/split/names.h"

#include <set>

#include "base/error.h"

namespace tied::converter {

bool IsTokenIds(const std::string& name) { return name == kIds || name == kDecoderIds; }

std::string TokenIdsOf(std::string name, const Scope& scope) {
  static const std::set<std::string> kPassing = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};
  for (int steps = 0; steps < 64; ++steps) {
    if (scope.Initializer(name) != nullptr) return "";
    if (scope.IsInput(name)) return IsTokenIds(name) ? name : "";
    const onnx::NodeProto* producer = scope.Producer(name);
    if (producer == nullptr || producer->input_size() == 0 || kPassing.count(producer->op_type()) == 0) return "";
    name = producer->input(0);
  }
  return "";
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
  tensor->mutable_shape()->add_dim()->set_dim_param(prefix + "batch");
  if (rank > 2) tensor->mutable_shape()->add_dim()->set_dim_param(prefix + "sequence");
  if (width > 0) tensor->mutable_shape()->add_dim()->set_dim_value(width);
  return value;
}

void CheckNames(const onnx::GraphProto& graph, const std::string& path) {
  const Scope scope(graph, nullptr);
  for (const char* name : {kEmbeddings, kDecoderEmbeddings, kHidden}) {
    if (!scope.IsInput(name) && scope.Producer(name) == nullptr && scope.Initializer(name) == nullptr) continue;
    throw ConvertError(path + ": has a value called '" + name + "' already");
  }
}

}  // namespace tied::converter
