// ArgMax, TopK and LogSoftmax after the head become part of it.
#include "base/error.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

struct Selection {
  const char* name;
  Lines nodes;       // from `y`, the logits [batch, 1, kRows], to the outputs "values" and "ids", or one of them
  Lines operations;  // of the file
  int64_t opset = 17;
};
std::ostream& operator<<(std::ostream& out, const Selection& selection) { return out << selection.name; }

const Selection kSelections[] = {
    {"ArgMax", {"ids = ArgMax(y) {axis=2}"}, {"TopkIds 1"}},
    {"ArgMaxWithoutTheDimension", {"ids = ArgMax(y) {axis=-1, keepdims=0}"}, {"TopkIds 1"}},
    {"ArgMaxWithoutTheDimensionEither", {"ids = ArgMax(y) {axis=-1, keepdims=2}"}, {"TopkIds 1"}},
    {"ArgMaxOfAView", {"z = Squeeze(y, axis1)", "ids = ArgMax(z) {axis=1}"}, {"TopkIds 1"}},
    {"ArgMaxAsItIs", {"i = ArgMax(y) {axis=-1}", "ids = Cast(i) {to=7}"}, {"TopkIds 1"}},
    {"TopK", {"values, ids = TopK(y, five)"}, {"TopkValues 5", "TopkIds 5"}},
    {"TopKOfABiasedHead", {"b = Add(y, bias)", "values, ids = TopK(b, five)"}, {"TopkValues 5", "TopkIds 5"}},
    {"ReshapedTopK", {"v, ids = TopK(y, five)", "values = Reshape(v, m1)"}, {"TopkIds 5", "TopkValues 5"}},
    {"LogSoftmax", {"values = LogSoftmax(y) {axis=-1}"}, {"Logits 0 log_softmax"}},
    {"TopKOfLogSoftmax",
     {"p = LogSoftmax(y)", "values, ids = TopK(p, five)"},
     {"TopkValues 5 log_softmax", "TopkIds 5 log_softmax"}},
    {"LogSoftmaxBeforeOpset13", {"p = Reshape(y, rows)", "values = LogSoftmax(p)"}, {"Logits 0 log_softmax"}, 12},
};

// A model without If, with an output for each of "values" and "ids" that a node makes.
onnx::ModelProto MakeSelection(const Lines& nodes, int64_t opset, const std::string& folder) {
  ModelForm form;
  form.head = {"L = Uses(axis1, bias, m1)"};
  form.opset = opset;
  onnx::ModelProto model = MakeModel(form, folder);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->clear_node();
  graph->clear_output();
  *graph->add_initializer() = IntTensor("none", {0});
  *graph->add_initializer() = IntTensor("five", {5});
  *graph->add_initializer() = IntTensor("rows", {-1, kRows});
  AddNodes(graph, {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)"});
  AddNodes(graph, nodes);
  for (const onnx::NodeProto& node : graph->node()) {
    for (const std::string& output : node.output()) {
      if (output == "values") AddValue(graph->mutable_output(), output, onnx::TensorProto::FLOAT, {-1});
      if (output == "ids") AddValue(graph->mutable_output(), output, onnx::TensorProto::INT64, {-1});
    }
  }
  return model;
}

class Selections : public ConversionTest, public testing::WithParamInterface<Selection> {};

TEST_P(Selections, AreFoldedIntoTheHead) {
  Convert(MakeSelection(GetParam().nodes, GetParam().opset, Folder()));
  EXPECT_EQ(HeadResults(), GetParam().operations);
  EXPECT_TRUE(Check());
  ConvertKeeping("3-9 20 22-30 36");
}

TEST_F(ConversionTest, SelectionsNeedAsManyIdsAsTheyAskFor) {
  Save(MakeSelection({"values, ids = TopK(y, five)"}, 17, Folder()), Path("model.onnx"));
  ConvertKeeping("1 2 3 4 36");
  try {
    ConvertKeeping("1 2 3 4");
    FAIL();
  } catch (const converter::ConvertError& error) {
    EXPECT_STREQ(error.what(), "output 'values' is the 5 best, but only 4 token ids are left");
  }
}

INSTANTIATE_TEST_SUITE_P(All, Selections, testing::ValuesIn(kSelections),
                         [](const auto& selection) { return std::string(selection.param.name); });

struct Refused {
  const char* name;
  Lines nodes;
  std::vector<std::string> words;
  int64_t opset = 17;
};
std::ostream& operator<<(std::ostream& out, const Refused& refused) { return out << refused.name; }

const Refused kRefused[] = {
    {"ArgMaxOverTokens", {"ids = ArgMax(y)"}, {"ids_node", "ArgMax"}},
    {"TheLastOfEqualLogits", {"ids = ArgMax(y) {axis=-1, select_last_index=1}"}, {"ids_node", "ArgMax"}},
    {"TheSmallest", {"values, ids = TopK(y, five) {largest=0}"}, {"values_node", "TopK"}},
    {"OverTokensAndRows", {"z = Reshape(y, m1)", "ids = ArgMax(z) {axis=-1}"}, {"ids_node", "ArgMax"}},
    {"MoreThanThereAreRows", {"values, ids = TopK(y, rows)"}, {"values_node"}},
    {"NoneAtAll", {"values, ids = TopK(y, none)"}, {"values_node", "k is 0", "37"}},
    {"LogSoftmaxOverTwoDimensions", {"values = LogSoftmax(y)"}, {"values_node", "LogSoftmax"}, 12},
    {"LogSoftmaxTwice", {"p = LogSoftmax(y)", "values = LogSoftmax(p)"}, {"values_node", "LogSoftmax"}},
    {"IdsOfAnotherType", {"i = ArgMax(y) {axis=-1}", "ids = Cast(i) {to=6}"}, {"ids_node", "Cast"}},
};

class RefusedSelections : public ConversionTest, public testing::WithParamInterface<Refused> {};

TEST_P(RefusedSelections, AreNamed) {
  Save(MakeSelection(GetParam().nodes, GetParam().opset, Folder()), Path("model.onnx"));
  const std::string message = Refusal(Path("model.onnx"));
  for (const std::string& word : GetParam().words) EXPECT_NE(message.find(word), std::string::npos) << message;
  EXPECT_EQ(message.find("tied."), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(All, RefusedSelections, testing::ValuesIn(kRefused),
                         [](const auto& refused) { return std::string(refused.param.name); });

}  // namespace
}  // namespace tied::test
