#include "tests/converter/passes/rewrite.h"

#include <sstream>

namespace tied::test {

using converter::Graph;

std::ostream& operator<<(std::ostream& out, const Rewrite& rewrite) { return out << rewrite.name; }

Graph ParseGraph(const Lines& lines) {
  onnx::GraphProto nodes;
  AddNodes(&nodes, lines);
  Graph graph;
  graph.name = "graph";
  graph.inputs = {{"x", converter::ElementType::kFloat32, {{-1, "n"}, {kCols, ""}}},
                  {"h", converter::ElementType::kFloat32, {{-1, "n"}, {-1, "s"}, {kCols, ""}}},
                  {"ids", converter::ElementType::kInt64, {{-1, "n"}}}};
  graph.outputs = {{"y", converter::ElementType::kFloat32, {}}};
  graph.results = {"y"};
  const auto constant = [&](const char* name, converter::ElementType type, std::vector<int64_t> dims, const void* data,
                            size_t bytes) {
    converter::TensorRef tensor;
    tensor.name = name;
    tensor.type = type;
    tensor.onnx_type = static_cast<int>(type);
    tensor.dims = std::move(dims);
    tensor.SetBytes({static_cast<const char*>(data), bytes});
    graph.constants[name] = tensor;
  };
  const std::vector<float> table = Table(), bias = Bias();
  const int64_t flat[] = {-1, kCols}, rest[] = {kRows, -1}, zero = 0;
  const float half = kScale / 2;
  const std::string integers(kRows * 16, '\1');
  constant("W", converter::ElementType::kFloat32, {kRows, kCols}, table.data(), table.size() * sizeof(float));
  constant("Wt", converter::ElementType::kFloat32, {kCols, kRows}, table.data(), table.size() * sizeof(float));
  constant("bias", converter::ElementType::kFloat32, {kRows}, bias.data(), bias.size() * sizeof(float));
  constant("scale", converter::ElementType::kFloat32, {}, &kScale, sizeof kScale);
  constant("half", converter::ElementType::kFloat32, {}, &half, sizeof half);
  const float two = 2, tiny = 1e-12f, huge = 1e12f;
  constant("tiny", converter::ElementType::kFloat32, {}, &tiny, sizeof tiny);
  constant("huge", converter::ElementType::kFloat32, {}, &huge, sizeof huge);
  const std::vector<int32_t> int32s(kRows, 3);
  constant("two", converter::ElementType::kFloat32, {1}, &two, sizeof two);
  constant("integers", converter::ElementType::kInt32, {kRows}, int32s.data(), int32s.size() * sizeof(int32_t));
  constant("no", converter::ElementType::kBool, {}, "\0", 1);
  constant("yes", converter::ElementType::kBool, {}, "\1", 1);
  constant("column", converter::ElementType::kFloat32, {kRows, 1}, bias.data(), bias.size() * sizeof(float));
  constant("scales", converter::ElementType::kFloat32, {kRows}, bias.data(), bias.size() * sizeof(float));
  constant("Q", converter::ElementType::kUint8, {kRows, kCols}, integers.data(), kRows * kCols);
  constant("Qt", converter::ElementType::kUint8, {kCols, kRows}, integers.data(), kRows * kCols);
  constant("Blocks", converter::ElementType::kUint8, {kRows, 1, 16}, integers.data(), kRows * 16);
  constant("zero", converter::ElementType::kUint8, {}, integers.data(), 1);
  constant("other_zero", converter::ElementType::kUint8, {}, "\7", 1);
  constant("rest", converter::ElementType::kInt64, {2}, rest, sizeof rest);
  constant("flat", converter::ElementType::kInt64, {2}, flat, sizeof flat);
  constant("axis0", converter::ElementType::kInt64, {1}, &zero, sizeof zero);
  for (const onnx::NodeProto& node : nodes.node()) {
    converter::Node parsed;
    parsed.op = node.domain().empty() ? node.op_type() : node.domain() + "." + node.op_type();
    parsed.name = node.name();
    parsed.inputs.assign(node.input().begin(), node.input().end());
    parsed.outputs.assign(node.output().begin(), node.output().end());
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      converter::Attribute& value = parsed.attributes[attribute.name()];
      if (attribute.type() == onnx::AttributeProto::INT) value.i = attribute.i();
      value.ints.assign(attribute.ints().begin(), attribute.ints().end());
      value.s = attribute.s();
    }
    graph.nodes.push_back(std::move(parsed));
  }
  return graph;
}

std::string NodesOf(const Graph& graph) {
  std::istringstream text(converter::ToText(graph));
  std::string nodes;
  for (std::string line; std::getline(text, line);) {
    const size_t start = line.find_first_not_of(' ');
    if (start == 0 || start == std::string::npos || line.find(" = constant[") != std::string::npos) continue;
    if (line.find(" = ") != std::string::npos) nodes += line.substr(start) + "\n";
  }
  return nodes;
}

}  // namespace tied::test
