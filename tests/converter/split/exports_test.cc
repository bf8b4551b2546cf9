// Exports of one model, and names of inputs and outputs.
#include <algorithm>
#include <filesystem>
#include <set>

#include "converter/convert.h"
#include "converter/onnx/slim.h"
#include "converter/split/split.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

// Writes exports of lines with given inputs and outputs.
class SplitNamesTest : public ConversionTest {
 protected:
  struct Value {
    std::string name;
    int type;
    std::vector<int64_t> dims;
  };

  void Write(const std::string& name, const Lines& lines, const std::vector<Value>& inputs,
             const std::vector<Value>& outputs) {
    onnx::ModelProto model = MakeModel({}, Folder());
    onnx::GraphProto* graph = model.mutable_graph();
    graph->clear_node();
    graph->clear_input();
    graph->clear_output();
    for (const Value& value : inputs) AddValue(graph->mutable_input(), value.name, value.type, value.dims);
    for (const Value& value : outputs) AddValue(graph->mutable_output(), value.name, value.type, value.dims);
    graph->clear_initializer();
    *graph->add_initializer() = RawTensor("W", {kRows, kCols}, Table());
    *graph->add_initializer() = RawTensor("Wt", {kCols, kRows}, Transposed());
    *graph->add_initializer() = RawTensor("positions", {20, kCols}, std::vector<float>(20 * size_t{kCols}, 0.5f));
    *graph->add_initializer() = RawTensor("mix", {kCols, kCols}, std::vector<float>(kCols * size_t{kCols}, 0.25f));
    *graph->add_initializer() = RawTensor("bias", {kRows}, Bias());
    *graph->add_initializer() = RawTensor("scale", {}, {kScale});
    AddNodes(graph, lines);
    Save(model, Path(name));
  }

  static std::vector<float> Transposed() {
    const std::vector<float> table = Table();
    std::vector<float> transposed(table.size());
    for (size_t i = 0; i < table.size(); ++i) transposed[i % kCols * kRows + i / kCols] = table[i];
    return transposed;
  }

  // Splits and checks. Returns the names of the resulting files.
  std::set<std::string> SplitAll(std::vector<std::string> exports, converter::SplitOptions options = {}) {
    options.exports = std::move(exports);
    options.folder = Path("out");
    options.tables.check = true;
    const converter::ConvertReport report = converter::Split(options);
    EXPECT_TRUE(report.check->passed());
    EXPECT_EQ(report.tables.size(), 1u);
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(Path("out"))) {
      files.insert(entry.path().filename());
    }
    return files;
  }

  onnx::GraphProto Rest(const std::string& name) const {
    return converter::ReadSlimModel((std::filesystem::path(Path("out")) / name).string()).graph();
  }

  std::string SplitRefusal(const std::vector<std::string>& exports, const converter::SplitNames& names = {}) {
    try {
      converter::PairOf(converter::SplitExports(exports, names));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "not refused";
  }

  static const std::vector<int64_t> kIdsDims, kLogitsDims, kHiddenDims;
};

const std::vector<int64_t> SplitNamesTest::kIdsDims = {-1, -1};
const std::vector<int64_t> SplitNamesTest::kLogitsDims = {-1, -1, kRows};
const std::vector<int64_t> SplitNamesTest::kHiddenDims = {-1, -1, kCols};

constexpr int kInt64 = onnx::TensorProto::INT64, kInt32 = onnx::TensorProto::INT32, kFloat = onnx::TensorProto::FLOAT;

// Also looks up positions, and has another output that is a product with a matrix.
const Lines kDecoder = {"e = Gather(W, tokens)", "p = Gather(positions, offsets)",
                        "s = Add(e, p)",         "h = MatMul(s, mix)",
                        "k = MatMul(h, mix)",    "output1 = MatMul(h, Wt)"};

TEST_F(SplitNamesTest, FollowFromTheStructure) {
  for (const int type : {kInt64, kInt32}) {
    Write("model.onnx", kDecoder, {{"offsets", type, kIdsDims}, {"tokens", type, kIdsDims}},
          {{"k", kFloat, kHiddenDims}, {"output1", kFloat, kLogitsDims}});
    SplitAll({Path("model.onnx")});
    const onnx::GraphProto rest = Rest("model.onnx");
    ASSERT_EQ(rest.input_size(), 2);
    EXPECT_EQ(rest.input(0).name(), "offsets");
    EXPECT_EQ(rest.input(1).name(), "inputs_embeds");
    EXPECT_EQ(rest.output(0).name(), "k");
    EXPECT_EQ(rest.output(1).name(), "hidden");
  }
}

TEST_F(SplitNamesTest, MayBeGiven) {
  Lines lines = kDecoder;
  lines.push_back("hidden = Neg(h)");
  lines.push_back("other = MatMul(h, Wt)");
  lines.push_back("logits = Neg(other)");
  Write("model.onnx", lines, {{"offsets", kInt64, kIdsDims}, {"tokens", kInt64, kIdsDims}},
        {{"hidden", kFloat, kHiddenDims}, {"output1", kFloat, kLogitsDims}});
  EXPECT_NE(SplitRefusal({Path("model.onnx")}).find("with --hidden NAME"), std::string::npos);
  converter::SplitOptions options;
  options.ids = "tokens";
  options.logits = "output1";
  options.hidden = "states";
  SplitAll({Path("model.onnx")}, options);
  EXPECT_EQ(Rest("model.onnx").output(0).name(), "hidden");
  EXPECT_EQ(Rest("model.onnx").output(1).name(), "states");
  const std::string missing = SplitRefusal({Path("model.onnx")}, {"ids", "", "states"});
  EXPECT_NE(missing.find("no export has an input 'ids'; there are 'offsets', 'tokens'"), std::string::npos) << missing;
}

TEST_F(SplitNamesTest, ThatAreAmbiguousOrMissingAreAskedFor) {
  Write("two.onnx", {"a = Gather(W, first)", "b = Gather(W, second)", "h = Add(a, b)", "logits = MatMul(h, Wt)"},
        {{"first", kInt64, kIdsDims}, {"second", kInt64, kIdsDims}}, {{"logits", kFloat, kLogitsDims}});
  EXPECT_NE(SplitRefusal({Path("two.onnx")})
                .find("'first', 'second', which look up rows of matrices; choose one with --ids NAME"),
            std::string::npos);
  Write("logits.onnx", {"h = Gather(W, tokens)", "one = MatMul(h, Wt)", "two = Identity(one)"},
        {{"tokens", kInt64, kIdsDims}}, {{"one", kFloat, kLogitsDims}, {"two", kFloat, kLogitsDims}});
  EXPECT_NE(SplitRefusal({Path("logits.onnx")}).find("'one' or 'two'; choose one with --logits NAME"),
            std::string::npos);
  Write("none.onnx", {"h = Gather(W, tokens)", "y = MatMul(h, Wt)", "last = Tanh(y)"}, {{"tokens", kInt64, kIdsDims}},
        {{"last", kFloat, kLogitsDims}});
  const std::string none = SplitRefusal({Path("none.onnx")});
  EXPECT_NE(none.find("no output 'logits'"), std::string::npos) << none;
  EXPECT_NE(none.find("outputs are 'last'; choose one with --logits NAME"), std::string::npos) << none;
}

TEST_F(SplitNamesTest, HeadsMayHaveAFileOfTheirOwn) {
  for (const char* name : {"encoder.onnx", "decoder.onnx"}) {
    Write(name, {"e = Gather(W, input_ids)", "s = Mul(e, scale)", "last_hidden_state = Tanh(s)"},
          {{"input_ids", kInt64, kIdsDims}}, {{"last_hidden_state", kFloat, kHiddenDims}});
  }
  for (const char* logits : {"logits", "output"}) {
    Write("head.onnx", {"y = MatMul(hidden, Wt)", std::string(logits) + " = Add(y, bias)"},
          {{"hidden", kFloat, kHiddenDims}}, {{logits, kFloat, kLogitsDims}});
    Write("norm.onnx", {"n = Tanh(hidden)", "y = MatMul(n, Wt)", std::string(logits) + " = Add(y, bias)"},
          {{"hidden", kFloat, kHiddenDims}}, {{logits, kFloat, kLogitsDims}});
    std::vector<std::string> exports = {Path("decoder.onnx"), Path("encoder.onnx"), Path("head.onnx")};
    std::sort(exports.begin(), exports.end());
    do {
      EXPECT_EQ(SplitAll(exports), (std::set<std::string>{"decoder.onnx", "encoder.onnx", "model.tied"}));
      std::filesystem::remove_all(Path("out"));
    } while (std::next_permutation(exports.begin(), exports.end()));
  }
  Write("logits_of_norm.onnx", {"n = Tanh(x)", "y = MatMul(n, Wt)", "logits = Add(y, bias)"},
        {{"x", kFloat, kHiddenDims}}, {{"logits", kFloat, kLogitsDims}});
  EXPECT_EQ(SplitAll({Path("logits_of_norm.onnx"), Path("decoder.onnx")}),
            (std::set<std::string>{"decoder.onnx", "logits_of_norm.onnx", "model.tied"}));
  EXPECT_EQ(Rest("logits_of_norm.onnx").output(0).name(), "hidden");
  EXPECT_NE(SplitRefusal({Path("head.onnx")}).find("no Gather on a constant matrix by token ids"), std::string::npos);
}

TEST_F(SplitNamesTest, AllExportsHaveTheSameHead) {
  const Lines embedding = {"e = Gather(W, input_ids)", "h = Tanh(e)"};
  Lines plain = embedding, biased = embedding;
  plain.push_back("logits = MatMul(h, Wt)");
  biased.insert(biased.end(), {"y = MatMul(h, Wt)", "logits = Add(y, bias)"});
  for (const auto& [name, lines] : {std::pair<const char*, Lines>{"a.onnx", plain}, {"b.onnx", biased}}) {
    Write(name, lines, {{"input_ids", kInt64, kIdsDims}}, {{"logits", kFloat, kLogitsDims}});
  }
  EXPECT_NE(SplitRefusal({Path("a.onnx"), Path("b.onnx")}).find("differ in the matrix, bias or shape"),
            std::string::npos);
}

TEST_F(SplitNamesTest, ExportsWithDifferentTablesSayWhichToSplitAlone) {
  const std::vector<Value> ids = {{"input_ids", kInt64, kIdsDims}};
  Write("decoder.onnx", {"e = Gather(W, input_ids)", "h = Tanh(e)", "logits = MatMul(h, Wt)"}, ids,
        {{"logits", kFloat, kLogitsDims}});
  Write("encoder.onnx", {"e = Gather(positions, input_ids)", "h = Tanh(e)"}, ids, {{"h", kFloat, kHiddenDims}});
  const std::string message = SplitRefusal({Path("encoder.onnx"), Path("decoder.onnx")});
  EXPECT_NE(message.find("split " + Path("decoder.onnx") + " alone"), std::string::npos) << message;
  SplitAll({Path("decoder.onnx")});
}

TEST_F(SplitNamesTest, AFolderStandsForItsExports) {
  std::filesystem::create_directory(Path("model"));
  for (const char* name : {"decoder_model.onnx", "decoder_model_merged.onnx", "decoder_model_quantized.onnx"}) {
    Write(std::string("model/") + name, {"e = Gather(W, input_ids)", "h = Tanh(e)", "logits = MatMul(h, Wt)"},
          {{"input_ids", kInt64, kIdsDims}}, {{"logits", kFloat, kLogitsDims}});
  }
  // A speech encoder has no table and stays unchanged.
  Write("model/encoder_model.onnx", {"y = MatMul(x, mix)"}, {{"x", kFloat, kHiddenDims}}, {{"y", kFloat, kHiddenDims}});
  EXPECT_EQ(SplitAll({Path("model")}), (std::set<std::string>{"decoder_model.onnx", "decoder_model_merged.onnx",
                                                              "encoder_model.onnx", "model.tied"}));
  std::filesystem::create_directory(Path("empty"));
  EXPECT_THROW(SplitAll({Path("empty")}), std::exception);
}

TEST_F(SplitNamesTest, WholeModelsAreSentToSplit) {
  Write("model.onnx", kDecoder, {{"offsets", kInt64, kIdsDims}, {"tokens", kInt64, kIdsDims}},
        {{"output1", kFloat, kLogitsDims}});
  Write("encoder.onnx", {"e = Gather(W, input_ids)", "n = Tanh(e)", "h = MatMul(n, mix)"},
        {{"input_ids", kInt64, kIdsDims}}, {{"h", kFloat, kHiddenDims}});
  for (const char* name : {"model.onnx", "encoder.onnx"}) {
    try {
      converter::Convert({Path(name), Path("model.tied"), {}});
      ADD_FAILURE() << "not refused";
    } catch (const std::exception& error) {
      EXPECT_NE(std::string(error.what()).find("whole decoder or encoder; 'tied-convert split'"), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace tied::test
