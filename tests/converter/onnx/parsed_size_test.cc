// Files whose graphs take far more memory than they are long are refused before they are parsed.
#include "converter/onnx/parsed_size.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

std::string Varint(size_t number) {
  std::string bytes;
  for (; number > 127; number >>= 7) bytes += static_cast<char>((number & 127) | 128);
  return bytes + static_cast<char>(number);
}

std::string Field(int number, const std::string& bytes) {
  return Varint(static_cast<size_t>(number << 3 | 2)) + Varint(bytes.size()) + bytes;
}

std::string Repeated(const std::string& bytes, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += bytes;
  return all;
}

// A graph in a model, with the opset.
std::string ModelOf(const std::string& graph) { return Field(7, graph) + Field(8, "\x10\x11"); }

struct Bomb {
  const char* name;
  std::string (*make)(size_t count);
};
std::ostream& operator<<(std::ostream& out, const Bomb& bomb) { return out << bomb.name; }

const Bomb kBombs[] = {
    {"Nodes", [](size_t count) { return ModelOf(Repeated(Field(1, ""), count)); }},
    {"Initializers", [](size_t count) { return ModelOf(Repeated(Field(5, ""), count)); }},
    {"ValueInfos", [](size_t count) { return ModelOf(Repeated(Field(13, ""), count)); }},
    {"Attributes", [](size_t count) { return ModelOf(Field(1, Repeated(Field(5, ""), count))); }},
    {"NamesOfInputs", [](size_t count) { return ModelOf(Field(1, Repeated(Field(1, ""), count))); }},
    {"LongNames", [](size_t count) { return ModelOf(Field(1, Repeated(Field(1, std::string(16, 'n')), count))); }},
    {"TensorsOfAnAttribute", [](size_t count) { return ModelOf(Field(1, Field(5, Repeated(Field(10, ""), count)))); }},
    {"Functions", [](size_t count) { return ModelOf("") + Repeated(Field(25, ""), count); }},
    {"UnknownFields", [](size_t count) { return ModelOf("") + Repeated(Field(99, ""), count); }},
    {"UnknownTypesOfAttributes",
     [](size_t count) { return ModelOf(Field(1, Field(5, Repeated("\xa0\x01\x7f", count)))); }},
    {"Dimensions", [](size_t count) { return ModelOf(Field(5, Field(1, std::string(8 * count, '\1')))); }},
};

class Bombs : public ConversionTest, public testing::WithParamInterface<Bomb> {};

TEST_P(Bombs, AreMeasuredAndRefused) {
  // The count is known without parsing, and is near what protobuf says after it.
  const std::string wire = GetParam().make(5000);
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(wire));
  const auto size = converter::ParsedSize(*onnx::ModelProto::descriptor(), wire);
  ASSERT_TRUE(size);
  EXPECT_GE(2 * *size, model.SpaceUsedLong());  // protobuf doubles its arrays
  EXPECT_LE(*size, 4 * model.SpaceUsedLong() + 4096);
  std::ofstream(Path("bomb.onnx"), std::ios::binary) << GetParam().make(800'000);
  EXPECT_NE(Refusal(Path("bomb.onnx")).find("too much for a file of"), std::string::npos) << Refusal(Path("bomb.onnx"));
}

INSTANTIATE_TEST_SUITE_P(Onnx, Bombs, testing::ValuesIn(kBombs),
                         [](const auto& bomb) { return std::string(bomb.param.name); });

TEST(ParsedSize, OfAModelCoversWhatProtobufUses) {
  for (const Storage storage : {Storage::kRaw, Storage::kTyped, Storage::kConstantNodes, Storage::kRepeated}) {
    ModelForm form;
    form.storage = storage;
    const onnx::ModelProto model = MakeModel(form, "");
    const auto size = converter::ParsedSize(*onnx::ModelProto::descriptor(), model.SerializeAsString());
    ASSERT_TRUE(size);
    EXPECT_GE(2 * *size, model.SpaceUsedLong());
    EXPECT_LE(*size, 4 * model.SpaceUsedLong());
  }
}

TEST(ParsedSize, EndsAtEveryTruncation) {
  const std::string wire = MakeModel({}, "").SerializeAsString();
  size_t refused = 0;
  for (size_t length = 0; length < wire.size(); ++length) {
    refused += !converter::ParsedSize(*onnx::ModelProto::descriptor(), wire.substr(0, length));
  }
  EXPECT_GE(refused, wire.size() - 16);  // others end between two fields of the model
  EXPECT_FALSE(converter::ParsedSize(*onnx::ModelProto::descriptor(), "\x0b\x0c"));  // a group
}

// Ifs on six inputs have 64 paths, and each would copy all nodes and their names.
TEST_F(Bombs, PathsThroughIfsAreFewForManyNodes) {
  for (const auto& [nodes, name] : {std::pair<int, size_t>{1900, 10}, {1000, 5000}}) {
    onnx::ModelProto model = MakeModel({}, Folder());
    onnx::GraphProto* graph = model.mutable_graph();
    *graph->add_initializer() = IntTensor("minus_one", {-1});
    std::string ids = "input_ids";
    for (int i = 0; i < nodes; ++i) {
      const std::string next = "n" + std::to_string(i);
      AddNodes(graph, {next + " = Reshape(" + ids + ", minus_one)"});
      graph->mutable_node(graph->node_size() - 1)->set_name(std::string(name, 'x') + std::to_string(i));
      ids = next;
    }
    onnx::NodeProto branches = graph->node(0);
    for (int i = 0; i < 6; ++i) {
      const std::string at = std::to_string(i);
      onnx::NodeProto* node = graph->add_node();
      *node = branches;
      node->set_input(0, "choice" + at);
      node->set_output(0, "e" + at);
      node->set_output(1, "l" + at);
      for (onnx::AttributeProto& branch : *node->mutable_attribute()) {
        for (onnx::NodeProto& inner : *branch.mutable_g()->mutable_node()) {
          for (std::string& input : *inner.mutable_input()) input = input == "input_ids" ? ids : input;
        }
      }
      AddValue(graph->mutable_input(), "choice" + at, onnx::TensorProto::BOOL, {1});
      AddValue(graph->mutable_output(), "e" + at, onnx::TensorProto::FLOAT, {-1, kCols});
    }
    Save(model, Path("ifs.onnx"));
    const std::string message = Refusal(Path("ifs.onnx"));
    EXPECT_NE(message.find(name > 1000 ? "too long names" : "too many"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace tied::test
