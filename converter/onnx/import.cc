// Converts ONNX's protobuf messages to a Graph.
#include "converter/onnx/import.h"

#include <onnx/onnx_pb.h>
#include <sys/stat.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "base/beside.h"
#include "base/error.h"
#include "base/foreign_file.h"
#include "base/input_file.h"
#include "converter/graph/graph.h"
#include "converter/onnx/slim.h"
#include "schema/checked_math.h"

namespace tied::converter {

namespace {

constexpr int64_t kMinOpset = 11;
constexpr int kMaxNodes = 2000;  // pairs have tens of nodes

ElementType TypeOf(int onnx_type) {
  const auto type = static_cast<ElementType>(onnx_type);
  return ElementSize(type) > 0 || type == ElementType::kUint4 || type == ElementType::kInt4 ? type
                                                                                            : ElementType::kOther;
}

template <class To, class From>
std::string Pack(const From& values) {
  std::string bytes;
  for (const auto value : values) {
    const To element = static_cast<To>(value);
    bytes.append(reinterpret_cast<const char*>(&element), sizeof element);
  }
  return bytes;
}

// Names in a graph and in the graphs that contain it.
struct Names {
  const Names* outer;
  const std::map<std::string, TensorRef>& constants;  // of the graph
  std::set<std::string> own = {};                     // includes constants
  bool Has(const std::string& name) const { return own.count(name) > 0 || (outer != nullptr && outer->Has(name)); }
};

class Importer {
 public:
  // opset: version of ONNX's operations.
  Importer(const std::string& path, int64_t opset) : path_(path), opset_(opset) {}

  // outer: values of the enclosing graphs, which a subgraph may use.
  Graph Import(const onnx::GraphProto& proto, const Names* outer, int depth) {
    if (depth > 32) throw ConvertError(path_ + ": graphs are nested too deeply");
    Graph graph;
    graph.name = proto.name();
    if (proto.sparse_initializer_size() > 0) throw ConvertError(path_ + ": sparse initializers are not supported");
    for (const onnx::TensorProto& tensor : proto.initializer()) {
      if (tensor.name().empty()) throw ConvertError(path_ + ": an initializer has no name");
      if (!graph.constants.emplace(tensor.name(), ImportTensor(tensor, tensor.name())).second) {
        throw ConvertError(path_ + ": two initializers are named '" + tensor.name() + "'");
      }
    }
    for (const onnx::ValueInfoProto& value : proto.input()) {
      if (value.name().empty()) throw ConvertError(path_ + ": an input has no name");
      // Until IR version 3, initializers were also listed as inputs.
      if (graph.constants.count(value.name()) == 0) graph.inputs.push_back(ImportValue(value));
    }
    for (const onnx::ValueInfoProto& value : proto.output()) {
      graph.outputs.push_back(ImportValue(value));
      graph.results.push_back(value.name());
    }
    CheckHidden(graph.constants, outer);
    Names made{outer, graph.constants};
    for (const auto& [name, tensor] : graph.constants) made.own.insert(name);
    for (const ValueInfo& input : graph.inputs) made.own.insert(input.name);
    for (const onnx::NodeProto& node : proto.node()) {
      graph.nodes.push_back(ImportNode(node, made, depth));
      CheckOrder(graph.nodes.back(), made);
      made.own.insert(node.output().begin(), node.output().end());
      made.own.erase("");
    }
    for (const std::string& result : graph.results) {
      if (depth == 0 || made.Has(result)) continue;
      throw ConvertError(path_ + ": graph '" + graph.name + "': its output '" + result + "' is not computed");
    }
    return graph;
  }

  TensorRef ImportTensor(const onnx::TensorProto& proto, const std::string& what) {
    TensorRef tensor;
    tensor.name = what;
    tensor.onnx_type = proto.data_type();
    tensor.type = TypeOf(proto.data_type());
    tensor.dims.assign(proto.dims().begin(), proto.dims().end());
    if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
      ImportExternal(proto, &tensor);
    } else if (!proto.raw_data().empty()) {
      tensor.SetBytes(proto.raw_data());
    } else {
      tensor.SetBytes(TypedBytes(proto, tensor.type));
    }
    // Tensors of unsupported types are accepted as long as nothing uses them.
    if (tensor.type == ElementType::kOther) return tensor;
    const uint64_t expected = ExpectedBytes(tensor, path_ + ": tensor '" + what + "'");
    if (expected == tensor.length) return tensor;
    throw ConvertError(path_ + ": tensor '" + what + "' has " + std::to_string(tensor.length) +
                       " bytes; its shape needs " + std::to_string(expected));
  }

 private:
  // Refuses a name that means different values inside and outside a subgraph, because readers differ in which they use.
  void CheckHidden(const std::map<std::string, TensorRef>& constants, const Names* outer) const {
    for (; outer != nullptr; outer = outer->outer) {
      for (const auto& [name, tensor] : constants) {
        const auto same = outer->constants.find(name);
        if (outer->own.count(name) == 0) continue;
        if (same != outer->constants.end() && same->second.SamePlace(tensor)) continue;
        throw ConvertError(path_ + ": initializer '" + name + "' hides a value of the same name in an enclosing graph");
      }
    }
  }

  // Guarantees topological order, so that later passes need not check for cycles.
  void CheckOrder(const Node& node, const Names& made) const {
    for (const std::string& input : node.inputs) {
      if (input.empty() || made.Has(input)) continue;
      throw ConvertError(path_ + ": " + node.Describe() + ": its input '" + input + "' is not computed before it");
    }
    for (const std::string& output : node.outputs) {
      if (output.empty() || !made.Has(output)) continue;
      throw ConvertError(path_ + ": " + node.Describe() + ": its output '" + output + "' already exists");
    }
  }

  static ValueInfo ImportValue(const onnx::ValueInfoProto& proto) {
    ValueInfo value;
    value.name = proto.name();
    value.type = TypeOf(proto.type().tensor_type().elem_type());
    // Hidden states, embeddings and logits are float32, whatever type the model uses.
    if (IsFloat(value.type)) value.type = ElementType::kFloat32;
    for (const auto& dim : proto.type().tensor_type().shape().dim()) {
      value.dims.push_back({dim.has_dim_value() ? dim.dim_value() : -1, dim.dim_param()});
    }
    return value;
  }

  Node ImportNode(const onnx::NodeProto& proto, const Names& made, int depth) {
    Node node;
    const bool standard = proto.domain().empty() || proto.domain() == "ai.onnx";
    node.op = standard ? proto.op_type() : proto.domain() + "." + proto.op_type();
    node.name = proto.name();
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    if (node.outputs.empty()) throw ConvertError(path_ + ": " + node.Describe() + ": has no output");
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      node.attributes[attribute.name()] = ImportAttribute(attribute, node, made, depth);
    }
    // The default became the last axis in opset 13.
    if (node.op == "LogSoftmax" && opset_ < 13 && node.attributes.count("axis") == 0) node.attributes["axis"].i = 1;
    return node;
  }

  Attribute ImportAttribute(const onnx::AttributeProto& proto, const Node& node, const Names& made, int depth) {
    Attribute attribute;
    if (proto.has_g() && proto.type() != onnx::AttributeProto::GRAPH) {
      throw ConvertError(path_ + ": " + node.Describe() + ": attribute '" + proto.name() +
                         "' holds a graph, but its type differs");
    }
    switch (proto.type()) {
      case onnx::AttributeProto::INT:
        attribute.i = proto.i();
        break;
      case onnx::AttributeProto::FLOAT:
        attribute.f = proto.f();
        break;
      case onnx::AttributeProto::INTS:
        attribute.ints.assign(proto.ints().begin(), proto.ints().end());
        break;
      case onnx::AttributeProto::FLOATS:
        attribute.floats.assign(proto.floats().begin(), proto.floats().end());
        break;
      case onnx::AttributeProto::STRING:
        if (node.op == "Einsum") attribute.s = proto.s();
        break;
      case onnx::AttributeProto::TENSOR:
        attribute.tensor = ImportTensor(proto.t(), node.Describe());
        break;
      case onnx::AttributeProto::GRAPH:
        attribute.graph = std::make_shared<const Graph>(Import(proto.g(), &made, depth + 1));
        break;
      default:  // no supported operation has attributes of other types
        break;
    }
    return attribute;
  }

  static uint64_t ExpectedBytes(const TensorRef& tensor, const std::string& what) {
    if (ElementSize(tensor.type) > 0) return CheckedBytes(tensor.dims, ElementSize(tensor.type), what);
    return (CheckedBytes(tensor.dims, 1, what) + 1) / 2;
  }

  static std::string TypedBytes(const onnx::TensorProto& proto, ElementType type) {
    switch (type) {
      case ElementType::kFloat32:
        return Pack<float>(proto.float_data());
      case ElementType::kFloat16:
      case ElementType::kBFloat16:
        return Pack<uint16_t>(proto.int32_data());
      case ElementType::kUint8:
      case ElementType::kInt8:
      case ElementType::kUint4:
      case ElementType::kInt4:
        return Pack<uint8_t>(proto.int32_data());
      case ElementType::kInt32:
        return Pack<int32_t>(proto.int32_data());
      case ElementType::kInt64:
        return Pack<int64_t>(proto.int64_data());
      case ElementType::kBool:
        return Pack<bool>(proto.int32_data());
      default:
        return "";
    }
  }

  void ImportExternal(const onnx::TensorProto& proto, TensorRef* tensor) const {
    std::string location;
    bool has_length = false;
    for (const onnx::StringStringEntryProto& entry : proto.external_data()) {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset") tensor->offset = Number(entry.value(), tensor->name);
      if (entry.key() == "length") {
        tensor->length = Number(entry.value(), tensor->name);
        has_length = true;
      }
    }
    // The model file itself holds the values that ReadSlimModel() skips.
    const bool own = location == std::filesystem::path(path_).filename();
    tensor->path = own ? path_ : ExternalPath(location, tensor->name);
    const uint64_t size = InputFile(tensor->path).size();
    if (!has_length) tensor->length = size > tensor->offset ? size - tensor->offset : 0;
    uint64_t end = 0;
    if (!CheckedAdd(tensor->offset, tensor->length, &end) || end > size) {
      RefuseForeignFile(tensor->path);
      throw ConvertError(path_ + ": tensor '" + tensor->name + "' lies beyond the end of " + tensor->path);
    }
  }

  uint64_t Number(const std::string& text, const std::string& name) const {
    if (!text.empty() && text.size() < 20 && text.find_first_not_of("0123456789") == std::string::npos) {
      return std::strtoull(text.c_str(), nullptr, 10);
    }
    throw ConvertError(path_ + ": tensor '" + name + "': '" + text + "' is not a valid offset or length");
  }

  std::string ExternalPath(const std::string& location, const std::string& name) const {
    const std::string what = path_ + ": tensor '" + name + "': external data";
    std::string file = FileBeside(path_, location, what);
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) {
      throw ConvertError(what + " '" + location + "' does not exist: put it into the folder of the model");
    }
    return file;
  }

  const std::string& path_;
  const int64_t opset_;
};

int64_t OpsetOf(const onnx::ModelProto& model) {
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") return opset.version();
  }
  return 1;
}

int CountNodes(const onnx::GraphProto& graph) {
  int count = graph.node_size();
  for (const onnx::NodeProto& node : graph.node()) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) count += CountNodes(attribute.g());
    }
  }
  return count;
}

// Limits the nodes, because the time of the passes grows with their square, and requires the rank of every input.
void CheckPair(const onnx::ModelProto& model, const std::string& onnx_path) {
  const int nodes = CountNodes(model.graph());
  if (nodes > kMaxNodes) {
    throw ConvertError(onnx_path + ": has " + std::to_string(nodes) + " nodes; at most " + std::to_string(kMaxNodes) +
                       " are supported. 'tied-convert split' extracts the tied pair from a whole decoder or encoder");
  }
  std::set<std::string> initializers;
  for (const onnx::TensorProto& tensor : model.graph().initializer()) initializers.insert(tensor.name());
  for (const onnx::ValueInfoProto& input : model.graph().input()) {
    const bool shaped = !input.type().has_tensor_type() || input.type().tensor_type().has_shape();
    if (shaped || initializers.count(input.name()) > 0) continue;
    throw ConvertError(onnx_path + ": input '" + input.name() + "' has no shape; its rank must be known");
  }
}

}  // namespace

TensorRef ImportTensor(const onnx::TensorProto& proto, const std::string& onnx_path) {
  return Importer(onnx_path, 0).ImportTensor(proto, proto.name());
}

Graph ImportModel(const onnx::ModelProto& model, const std::string& onnx_path) {
  const int64_t opset = OpsetOf(model);
  if (opset < kMinOpset) {
    throw ConvertError(onnx_path + ": has opset " + std::to_string(opset) + "; " + std::to_string(kMinOpset) +
                       " and newer are supported. onnx.version_converter converts older models");
  }
  return Importer(onnx_path, opset).Import(model.graph(), nullptr, 0);
}

Graph ReadGraph(const std::string& onnx_path) {
  const onnx::ModelProto model = ReadSlimModel(onnx_path);
  CheckPair(model, onnx_path);
  return ImportModel(model, onnx_path);
}

}  // namespace tied::converter
