// Whole exports without their embedding and their head.
#include "converter/split.h"

#include <sstream>

#include "converter/check.h"
#include "converter/writer.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

struct Export {
  const char* name;
  Lines embedding;  // input_ids -> E
  Lines head;       // h -> logits
};
std::ostream& operator<<(std::ostream& out, const Export& form) { return out << form.name; }

const Lines kGather = {"E = Gather(W, input_ids)"};
const Export kExports[] = {
    {"ScaleAndBias",
     {"g = Gather(W, input_ids)", "E = Mul(g, scale)"},
     {"wt = Transpose(W)", "y = MatMul(h, wt)", "logits = Add(y, bias)"}},
    {"BiasFirst", kGather, {"y = MatMul(h, Wt)", "logits = Add(bias, y)"}},
    {"Gemm", kGather, {"f = Reshape(h, flat)", "y = Gemm(f, W) {transB=1}", "logits = Reshape(y, unflat)"}},
    {"FusedMatMul", kGather, {"logits = com.microsoft.FusedMatMul(h, W) {transB=1}"}},
    {"CastBesideOtherAttributes",
     {"g = Gather(W, input_ids)", "E = Cast(g) {saturate=1, to=1}"},
     {"y = MatMul(h, Wt)", "logits = Cast(y) {saturate=1, to=1}"}},
    {"DynamicallyQuantised",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"q, s, z = DynamicQuantizeLinear(h)", "i = MatMulInteger(q, Qt, z, zero)", "c = Cast(i) {to=1}",
      "m = Mul(s, scale)", "logits = Mul(c, m)"}},
    {"DequantisedOnceForBoth",
     {"table = DequantizeLinear(Q, scale, zero)", "E = Gather(table, input_ids)"},
     {"t = Transpose(table)", "logits = MatMul(h, t)"}},
    {"DequantisedBehindTheTranspose",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"t = Transpose(Q)", "w = DequantizeLinear(t, scale, zero)", "logits = MatMul(h, w)"}},
    {"RoundedHiddenStates",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"q = QuantizeLinear(h, scale, zero)", "d = DequantizeLinear(q, scale, zero)",
      "w = DequantizeLinear(Qt, scale, zero)", "logits = MatMul(d, w)"}},
};

onnx::TensorProto Bytes(const std::string& name, const std::vector<int64_t>& dims, const std::string& bytes) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::UINT8);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(bytes);
  return tensor;
}

// input_ids to logits, with a Tanh for a decoder.
onnx::ModelProto MakeExport(const Lines& embedding, const Lines& head, const std::string& folder) {
  ModelForm form;
  form.head = {"L = Uses(Wt, bias, scale, flat, unflat)"};
  onnx::ModelProto model = MakeModel(form, folder);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->clear_node();
  graph->clear_input();
  graph->clear_output();
  AddValue(graph->mutable_input(), "input_ids", onnx::TensorProto::INT64, {-1, -1});
  AddValue(graph->mutable_output(), "logits", onnx::TensorProto::FLOAT, {-1, 1, kRows});
  std::string rows(kRows * kCols, '\0'), cols = rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<char>(i * 37);
    cols[i % kCols * kRows + i / kCols] = rows[i];
  }
  *graph->add_initializer() = Bytes("Q", {kRows, kCols}, rows);
  *graph->add_initializer() = Bytes("Qt", {kCols, kRows}, cols);
  *graph->add_initializer() = Bytes("zero", {}, "\x70");
  AddNodes(graph, head);
  AddNodes(graph, {"h = Tanh(E)"});
  AddNodes(graph, embedding);  // in no order
  return model;
}

class Exports : public ConversionTest, public testing::WithParamInterface<Export> {};

TEST_P(Exports, AreTakenApart) {
  Save(MakeExport(GetParam().embedding, GetParam().head, Folder()), Path("model.onnx"));
  const converter::SplitModel split = converter::SplitOnnx(Path("model.onnx"));
  const onnx::GraphProto& rest = split.model.graph();
  std::string nodes;
  for (const onnx::NodeProto& node : rest.node()) nodes += node.op_type() + " " + node.input(0) + "\n";
  EXPECT_EQ(nodes, "Identity inputs_embeds\nTanh E\nIdentity h\n");
  EXPECT_EQ(rest.initializer_size(), 0);
  ASSERT_EQ(rest.input_size(), 1);
  EXPECT_EQ(rest.input(0).name(), "inputs_embeds");
  EXPECT_EQ(rest.output(0).name(), "hidden");

  const auto progress = [](uint64_t, uint64_t) {};
  const converter::Graph pair = converter::PairOf(split);
  const converter::Plan plan = converter::MakePlan(pair, Path("model.onnx"), /*allow_untied=*/false, progress);
  EXPECT_EQ(plan.tables.size(), 1u);
  converter::Plan written = plan;
  if (plan.tables[0].quantised()) written.encodings[0] = converter::EncodingOf(plan.tables[0]);
  converter::WriteFile(written, Path("model.tied"), progress);
  std::ostringstream report;
  EXPECT_TRUE(converter::CheckConversion(pair, Path("model.tied"), /*lossless=*/true, report)) << report.str();
}

INSTANTIATE_TEST_SUITE_P(All, Exports, testing::ValuesIn(kExports),
                         [](const auto& form) { return std::string(form.param.name); });

using WholeExports = ConversionTest;

TEST_F(WholeExports, AnEncoderAndADecoderInOneGraphHaveEmbeddingsEach) {
  onnx::ModelProto model = MakeExport({"e = Gather(W, input_ids)", "d = Gather(W, decoder_input_ids)", "E = Add(e, d)"},
                                      {"logits = MatMul(h, Wt)"}, Folder());
  AddValue(model.mutable_graph()->mutable_input(), "decoder_input_ids", onnx::TensorProto::INT64, {-1, -1});
  Save(model, Path("model.onnx"));
  const converter::SplitModel split = converter::SplitOnnx(Path("model.onnx"));
  const onnx::GraphProto& rest = split.model.graph();
  ASSERT_EQ(rest.input_size(), 2);
  EXPECT_EQ(rest.input(0).name(), "decoder_inputs_embeds");
  EXPECT_EQ(rest.input(1).name(), "inputs_embeds");
  for (const onnx::NodeProto& node : rest.node()) {
    if (node.output(0) == "e" || node.output(0) == "d") {
      EXPECT_EQ(node.input(0), node.output(0) == "e" ? "inputs_embeds" : "decoder_inputs_embeds");
    }
  }
}

const Export kRefusedExports[] = {
    {"no Gather on a constant matrix", {"E = Cast(input_ids) {to=1}"}, {"logits = MatMul(h, Wt)"}},
    {"makes the logits", kGather, {"y = MatMul(h, Wt)", "logits = Relu(y)"}},
    {"depends on 'input_ids', too", kGather, {"y = MatMul(h, Wt)", "s = Shape(input_ids)", "logits = Reshape(y, s)"}},
    {"still uses 'W'", {"E = Gather(W, input_ids)", "logits_too = Neg(W)"}, {"logits = MatMul(h, Wt)"}},
};

class RefusedExports : public ConversionTest, public testing::WithParamInterface<Export> {};

TEST_P(RefusedExports, SayWhy) {
  onnx::ModelProto model = MakeExport(GetParam().embedding, GetParam().head, Folder());
  for (const onnx::NodeProto& node : model.graph().node()) {
    if (node.output(0) == "logits_too") AddValue(model.mutable_graph()->mutable_output(), "logits_too", 1, {-1, -1});
  }
  Save(model, Path("model.onnx"));
  try {
    converter::SplitOnnx(Path("model.onnx"));
    ADD_FAILURE() << "not refused";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find(GetParam().name), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(All, RefusedExports, testing::ValuesIn(kRefusedExports));

}  // namespace
}  // namespace tied::test
