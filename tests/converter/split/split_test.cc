// Splits whole exports: removes their embedding and their head.
#include "converter/split/split.h"

#include "converter/check/check.h"
#include "converter/onnx/import.h"
#include "converter/onnx/scope.h"
#include "converter/onnx/write.h"
#include "converter/output/writer.h"
#include "tests/converter/conversion.h"
#include "tests/support/oracle.h"

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
      "m = Mul(scale, s)", "logits = Mul(c, m)"}},
    {"DynamicQuantizeMatMul",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"logits = com.microsoft.DynamicQuantizeMatMul(h, Qt, scale, zero, bias)"}},
    {"MatMulIntegerToFloat",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"q, s, z = DynamicQuantizeLinear(h)",
      "logits = com.microsoft.MatMulIntegerToFloat(q, Qt, s, scale, z, zero, bias)"}},
    {"DequantisedOnceForBoth",
     {"table = DequantizeLinear(Q, scale, zero)", "E = Gather(table, input_ids)"},
     {"t = Transpose(table)", "logits = MatMul(h, t)"}},
    {"DequantisedBehindTheTranspose",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"t = Transpose(Q)", "w = DequantizeLinear(t, scale, zero)", "logits = MatMul(h, w)"}},
    {"IdsInTheShapeThatTheyHave",
     {"s = Shape(input_ids)", "last = Slice(s, axis1, two)", "to = Concat(m1, last) {axis=0}",
      "ids = Reshape(input_ids, to)", "E = Gather(W, ids)"},
     {"logits = MatMul(h, Wt)"}},
    {"RowsWithTheNameOfEmbeddings",
     {"embeddings = Gather(W, input_ids)", "E = Mul(embeddings, scale)"},
     {"tied_ids = Transpose(W)", "logits = MatMul(h, tied_ids)"}},
    {"RoundedBeforeAView",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"f = Reshape(h, flat)", "q = QuantizeLinear(f, scale, zero)", "d = DequantizeLinear(q, scale, zero)",
      "w = DequantizeLinear(Qt, scale, zero)", "y = Gemm(d, w)", "logits = Reshape(y, unflat)"}},
    {"ProductOfIntegers",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"q = QuantizeLinear(h, scale, zero)", "p = QLinearMatMul(q, scale, zero, Qt, scale, zero, scale, zero)",
      "logits = DequantizeLinear(p, scale, zero)"}},
    {"RoundedHiddenStates",
     {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
     {"q = QuantizeLinear(h, scale, zero)", "d = DequantizeLinear(q, scale, zero)",
      "w = DequantizeLinear(Qt, scale, zero)", "logits = MatMul(d, w)"}},
};

void RemoveNode(onnx::GraphProto* graph, const std::string& op, const std::string& input) {
  converter::RemoveIf(graph->mutable_node(), [&](const onnx::NodeProto& node) {
    return node.op_type() == op && node.input(0) == input && node.output(0) == "h";
  });
}

// input_ids to logits, with a Tanh for a decoder.
onnx::ModelProto MakeExport(const Lines& embedding, const Lines& head, const std::string& folder) {
  ModelForm form;
  form.head = {"L = Uses(Wt, bias, scale, flat, unflat, m1, axis1)"};
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
  *graph->add_initializer() = BytesTensor("Q", {kRows, kCols}, rows);
  *graph->add_initializer() = BytesTensor("Qt", {kCols, kRows}, cols);
  *graph->add_initializer() = BytesTensor("zero", {}, "\x70");
  *graph->add_initializer() = IntTensor("two", {2});
  *graph->add_initializer() = RawTensor("half", {}, {kScale / 2});
  AddNodes(graph, head);
  AddNodes(graph, {"h = Tanh(E)"});
  AddNodes(graph, embedding);  // after their users: nodes may be unsorted
  return model;
}

// Operations with their first inputs, one per line: "Tanh E".
std::string NodesOf(const onnx::GraphProto& graph) {
  std::string nodes;
  for (const onnx::NodeProto& node : graph.node()) nodes += node.op_type() + " " + node.input(0) + "\n";
  return nodes;
}

class SplitTest : public ConversionTest {
 protected:
  // Checks that the .tied file has one table and matches a reference evaluation of the pair.
  void CheckPair(const std::vector<converter::SplitModel>& models) {
    const auto progress = [](uint64_t, uint64_t) {};
    const converter::Graph pair = converter::PairOf(models);
    converter::Plan plan = converter::MakePlan(pair, Path("model.onnx"), /*allow_untied=*/false, progress);
    EXPECT_EQ(plan.tables.size(), 1u);
    if (plan.tables[0].quantised()) plan.encodings[0] = converter::EncodingOf(plan.tables[0]);
    converter::WriteFile(plan, Path("model.tied"), progress);
    converter::CheckReport report;
    converter::CheckConversion(pair, plan, Path("model.tied"), &report);
    ExpectPassed(report);
  }
};

class Exports : public SplitTest, public testing::WithParamInterface<Export> {};

TEST_P(Exports, AreTakenApart) {
  Save(MakeExport(GetParam().embedding, GetParam().head, Folder()), Path("model.onnx"));
  const converter::SplitModel split = converter::SplitOnnx(Path("model.onnx"));
  const onnx::GraphProto& rest = split.model.graph();
  EXPECT_EQ(NodesOf(rest), "Identity inputs_embeds\nTanh E\nIdentity h\n");
  EXPECT_EQ(rest.initializer_size(), 0);
  ASSERT_EQ(rest.input_size(), 1);
  EXPECT_EQ(rest.input(0).name(), "inputs_embeds");
  EXPECT_EQ(rest.output(0).name(), "hidden");
  CheckPair({split});
}

INSTANTIATE_TEST_SUITE_P(All, Exports, testing::ValuesIn(kExports),
                         [](const auto& form) { return std::string(form.param.name); });

// The nodes that remain if other nodes use the rows, or values computed from them.
struct SharedRows {
  const char* name;
  Lines nodes;       // input_ids -> h
  const char* left;  // in the form of NodesOf()
};
std::ostream& operator<<(std::ostream& out, const SharedRows& form) { return out << form.name; }

const SharedRows kSharedRows[] = {
    {"CastInTheNorm",
     {"E = Gather(W, input_ids)", "c = Cast(E) {to=1}", "p = Mul(c, c)", "h = Add(E, p)"},
     "Identity inputs_embeds\nCast E\nMul c\nAdd E\n"},
    {"RowsInAResidual",
     {"g = Gather(W, input_ids)", "E = Mul(g, scale)", "h = Add(g, E)"},
     "Identity inputs_embeds\nMul g\nAdd g\n"},
    {"ScaledRowsInAResidual",
     {"g = Gather(W, input_ids)", "E = Mul(scale, g)", "n = Tanh(E)", "h = Add(n, E)"},
     "Identity inputs_embeds\nTanh E\nAdd n\n"},
    {"TheirShape",
     {"E = Gather(W, input_ids)", "s = Shape(E)", "r = Reshape(E, s)", "h = Mul(r, scale)"},
     "Identity inputs_embeds\nShape E\nReshape E\nMul r\n"},
    {"AScaleAndNone",
     {"a = Gather(W, input_ids)", "b = Mul(a, scale)", "c = Gather(W, input_ids)", "h = Add(b, c)"},
     "Identity inputs_embeds\nMul a\nIdentity inputs_embeds\nAdd b\n"},
    {"ACastAndNone",
     {"a = Gather(W, input_ids)", "b = Cast(a) {to=10}", "d = Cast(b) {to=1}", "c = Gather(W, input_ids)",
      "e = Mul(c, scale)", "h = Add(d, e)"},
     "Identity inputs_embeds\nCast a\nCast b\nIdentity inputs_embeds\nMul c\nAdd d\n"},
    {"IntegersThatTwoNodesDequantise",
     {"g = Gather(Q, input_ids)", "a = DequantizeLinear(g, scale, zero)", "b = DequantizeLinear(g, scale, zero)",
      "E = Neg(a)", "h = Add(E, b)"},
     "Identity inputs_embeds\nIdentity g_numbers\nNeg a\nIdentity g_numbers\nAdd E\n"},
    {"IntegersThatAreComputedWith",
     {"g = Gather(Q, input_ids)", "q = com.microsoft.QLinearAdd(g, scale, zero, g, scale, zero, scale, zero)",
      "h = DequantizeLinear(q, scale, zero)"},
     "Identity inputs_embeds\nQuantizeLinear g_numbers\nQLinearAdd g\nDequantizeLinear q\n"},
    {"NamesThatASplitGives",
     {"hidden = Gather(W, input_ids)", "inputs_embeds = Tanh(hidden)", "h = Neg(inputs_embeds)"},
     "Identity inputs_embeds\nTanh hidden_\nNeg inputs_embeds_\n"},
};

class RowsUsedTwice : public SplitTest, public testing::WithParamInterface<SharedRows> {};

TEST_P(RowsUsedTwice, AreCutAtTheFirstSuchValue) {
  // The head reads the same table as the nodes.
  const bool quantised = GetParam().nodes[0].find("Gather(Q") != std::string::npos;
  const Lines head = {"w = DequantizeLinear(Qt, scale, zero)", "logits = MatMul(h, w)"};
  onnx::ModelProto model = MakeExport(GetParam().nodes, quantised ? head : Lines{"logits = MatMul(h, Wt)"}, Folder());
  RemoveNode(model.mutable_graph(), "Tanh", "E");
  Save(model, Path("model.onnx"));
  const converter::SplitModel split = converter::SplitOnnx(Path("model.onnx"));
  EXPECT_EQ(NodesOf(split.model.graph()), GetParam().left + std::string("Identity h\n"));
  EXPECT_EQ(split.model.graph().output(0).name(), "hidden");
  CheckPair({split});
}

INSTANTIATE_TEST_SUITE_P(All, RowsUsedTwice, testing::ValuesIn(kSharedRows),
                         [](const auto& form) { return std::string(form.param.name); });

using WholeExports = SplitTest;

// Hidden states from an integer operation are floating-point numbers in the remaining file.
TEST_F(WholeExports, HaveHiddenStatesOfIntegers) {
  Save(MakeExport({"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, scale, zero)"},
                  {"q = QuantizeLinear(h, scale, zero)",
                   "r = com.microsoft.QLinearAdd(q, scale, zero, q, scale, zero, scale, zero)",
                   "p = QLinearMatMul(r, scale, zero, Qt, scale, zero, scale, zero)",
                   "logits = DequantizeLinear(p, scale, zero)"},
                  Folder()),
       Path("model.onnx"));
  const converter::SplitModel split = converter::SplitOnnx(Path("model.onnx"));
  EXPECT_EQ(NodesOf(split.model.graph()),
            "Identity inputs_embeds\nTanh E\nQuantizeLinear h\nQLinearAdd q\nDequantizeLinear r\nIdentity r_numbers\n");
  CheckPair({split});
}

// The rank of the hidden states differs from the rank of the logits.
TEST_F(WholeExports, HaveHiddenStatesOfTheRankThatTheyHave) {
  Save(MakeExport(kGather, {"f = Reshape(h, flat)", "r = Relu(f)", "y = MatMul(r, Wt)", "logits = Reshape(y, unflat)"},
                  Folder()),
       Path("flat.onnx"));
  Save(MakeExport(kGather, {"u = Unsqueeze(h, axis1)", "r = Tanh(u)", "logits = MatMul(r, Wt)"}, Folder()),
       Path("deep.onnx"));
  for (const auto& [name, rank] : {std::pair<const char*, int>{"flat.onnx", 2}, {"deep.onnx", 4}}) {
    const converter::SplitModel split = converter::SplitOnnx(Path(name));
    EXPECT_EQ(split.model.graph().output(0).type().tensor_type().shape().dim_size(), rank);
    EXPECT_EQ(split.head->inputs[0].dims.size(), static_cast<size_t>(rank));
    CheckPair({split});
  }
}

TEST_F(WholeExports, MayCallATableEmbeddings) {
  onnx::ModelProto model = MakeExport({"E = Gather(embeddings, input_ids)"},
                                      {"wt = Transpose(embeddings)", "logits = MatMul(h, wt)"}, Folder());
  *model.mutable_graph()->add_initializer() = RawTensor("embeddings", {kRows, kCols}, Table());
  Save(model, Path("model.onnx"));
  const converter::SplitModel split = converter::SplitOnnx(Path("model.onnx"));
  EXPECT_EQ(split.model.graph().initializer_size(), 0);
  const converter::Graph pair = converter::PairOf({split});
  EXPECT_EQ(pair.outputs[0].name, "embeddings");
  EXPECT_EQ(pair.constants.size(), 1u);
  CheckPair({split});
}

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

// Until IR version 3, every initializer was also an input.
TEST_F(WholeExports, HaveNoInputsOfTheTablesThatAreGone) {
  onnx::ModelProto model = MakeExport(kGather, {"y = MatMul(h, Wt)", "logits = Add(y, bias)"}, Folder());
  AddValue(model.mutable_graph()->mutable_input(), "W", onnx::TensorProto::FLOAT, {kRows, kCols});
  AddValue(model.mutable_graph()->mutable_input(), "bias", onnx::TensorProto::FLOAT, {kRows});
  Save(model, Path("model.onnx"));
  const onnx::GraphProto rest = converter::SplitOnnx(Path("model.onnx")).model.graph();
  ASSERT_EQ(rest.input_size(), 1);
  EXPECT_EQ(rest.input(0).name(), "inputs_embeds");
}

TEST_F(WholeExports, KeepTheirOtherWeightsOutside) {
  onnx::ModelProto model =
      MakeExport({"g = Gather(W, input_ids)", "E = Add(g, large)"}, {"logits = MatMul(h, Wt)"}, Folder());
  const std::vector<float> large = MakeNumbers(Numbers::kNormal, 200 * size_t{kCols}, 3);
  AddConstant(model.mutable_graph(), RawTensor("large", {200, kCols}, large));
  Save(model, Path("model.onnx"));
  converter::OnnxWriter writer(converter::SplitOnnx(Path("model.onnx")).model, Path("model.onnx"), Path("rest.onnx"));
  writer.Write();
  writer.Commit();
  EXPECT_EQ(Files(), (std::vector<std::string>{"model.onnx", "rest.onnx", "rest.onnx.data"}));
  EXPECT_EQ(converter::ReadGraph(Path("rest.onnx")).constants.at("large").ReadFloats(), large);
}

TEST_F(WholeExports, HaveNoLargeTensorsInOtherAttributes) {
  onnx::ModelProto model = MakeExport(kGather, {"logits = MatMul(h, Wt)"}, Folder());
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) {
    if (node.op_type() != "Tanh") continue;
    node.clear_name();
    onnx::AttributeProto* attribute = node.add_attribute();
    attribute->set_name("large");
    attribute->set_type(onnx::AttributeProto::TENSOR);
    *attribute->mutable_t() = RawTensor("", {2000}, std::vector<float>(2000));
  }
  Save(model, Path("model.onnx"));
  converter::OnnxWriter writer(converter::SplitOnnx(Path("model.onnx")).model, Path("model.onnx"), Path("rest.onnx"));
  try {
    writer.Write();
    ADD_FAILURE() << "not refused";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("'h' (Tanh): attribute 'large'"), std::string::npos) << error.what();
  }
}

// Two branches with a head each; the second reads `other`.
onnx::ModelProto MakeBranches(const std::string& other, const std::string& folder) {
  onnx::ModelProto model = MakeExport({"E = Gather(W, input_ids)"}, {}, folder);
  onnx::GraphProto* graph = model.mutable_graph();
  AddValue(graph->mutable_input(), "cached", onnx::TensorProto::BOOL, {1});
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("If");
  node->add_input("cached");
  node->add_output("logits");
  for (const auto& [name, table] : {std::pair<const char*, std::string>{"then_branch", "Wt"}, {"else_branch", other}}) {
    onnx::AttributeProto* branch = node->add_attribute();
    branch->set_name(name);
    branch->set_type(onnx::AttributeProto::GRAPH);
    const std::string logits = std::string(name) + "_logits";
    AddNodes(branch->mutable_g(), {logits + " = MatMul(h, " + table + ")"});
    AddValue(branch->mutable_g()->mutable_output(), logits, onnx::TensorProto::FLOAT, {-1, 1, kRows});
  }
  *graph->add_initializer() = RawTensor("different", {kCols, kRows}, Table());
  return model;
}

// Quantised with one scale and dequantised with a different one, so the hidden states change.
TEST_F(WholeExports, KeepARoundingThatChangesHiddenStates) {
  Save(MakeExport(
           kGather,
           {"q = QuantizeLinear(h, scale, zero)", "d = DequantizeLinear(q, half, zero)", "logits = MatMul(d, Wt)"},
           Folder()),
       Path("model.onnx"));
  const onnx::ModelProto rest = converter::SplitOnnx(Path("model.onnx")).model;
  EXPECT_EQ(rest.graph().node(rest.graph().node_size() - 1).input(0), "d");
}

TEST_F(WholeExports, IdsOfALoopAreItsOwn) {
  onnx::ModelProto model = MakeExport({"E = Loop(two, , e)"}, {"logits = MatMul(h, Wt)"}, Folder());
  onnx::AttributeProto* attribute = nullptr;
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) {
    if (node.op_type() != "Loop") continue;
    node.clear_input();
    for (const char* input : {"two", "", "input_ids_at_first"}) node.add_input(input);
    node.clear_output();
    for (const char* output : {"last_ids", "E"}) node.add_output(output);
    attribute = node.add_attribute();
  }
  attribute->set_name("body");
  attribute->set_type(onnx::AttributeProto::GRAPH);
  onnx::GraphProto* body = attribute->mutable_g();
  AddNodes(body, {"still = Identity(going)", "next = Add(input_ids, axis1)", "e = Gather(W, input_ids)"});
  AddValue(body->mutable_input(), "i", onnx::TensorProto::INT64, {});
  AddValue(body->mutable_input(), "going", onnx::TensorProto::BOOL, {});
  AddValue(body->mutable_input(), "input_ids", onnx::TensorProto::INT64, {-1, -1});
  AddValue(body->mutable_output(), "still", onnx::TensorProto::BOOL, {});
  AddValue(body->mutable_output(), "next", onnx::TensorProto::INT64, {-1, -1});
  AddValue(body->mutable_output(), "e", onnx::TensorProto::FLOAT, {-1, -1, kCols});
  model.mutable_graph()->mutable_input(0)->set_name("input_ids_at_first");
  Save(model, Path("model.onnx"));
  try {
    converter::PairOf(converter::SplitExports({Path("model.onnx")}));
    ADD_FAILURE() << "not refused";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("no Gather on a constant matrix"), std::string::npos) << error.what();
  }
}

TEST_F(WholeExports, BranchesMustHaveTheSameHead) {
  Save(MakeBranches("Wt", Folder()), Path("model.onnx"));
  EXPECT_EQ(converter::SplitOnnx(Path("model.onnx")).head->inputs[0].name, "hidden");
  Save(MakeBranches("different", Folder()), Path("model.onnx"));
  try {
    converter::SplitOnnx(Path("model.onnx"));
    ADD_FAILURE() << "not refused";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("another branch"), std::string::npos) << error.what();
  }
}

// Constants computed from many constants, with more paths to W than a search may follow.
Lines Thicket() {
  Lines lines;
  std::string last = "W";
  for (int i = 0; i < 14; ++i) {
    std::string inputs = last;
    for (int j = 1; j < 40; ++j) inputs += ", " + last;
    last = "max" + std::to_string(i);
    lines.push_back(last + " = Max(" + inputs + ")");
  }
  lines.push_back("E = Gather(" + last + ", input_ids)");
  return lines;
}

const Export kRefusedExports[] = {
    {"max0_node' (Max): is not supported", Thicket(), {"logits = MatMul(h, Wt)"}},
    {"no Gather on a constant matrix by token ids", {"E = Cast(input_ids) {to=1}"}, {"logits = MatMul(h, Wt)"}},
    {"computes the logits", kGather, {"y = MatMul(h, Wt)", "logits = Relu(y)"}},
    {"also depends on 'input_ids'", kGather, {"y = MatMul(h, Wt)", "s = Shape(input_ids)", "logits = Reshape(y, s)"}},
    {"E_node' (Gather): is not supported", {"E = Gather(W, input_ids) {axis=1}"}, {"logits = MatMul(h, Wt)"}},
    {"looks up 'input_ids' in a different shape",
     {"i = Reshape(input_ids, m1)", "E = Gather(W, i)"},
     {"logits = MatMul(h, Wt)"}},
    {"looks up 'input_ids' in a different shape",
     {"i = Unsqueeze(input_ids, axis1)", "g = Gather(W, i)", "E = ReduceMax(g, axis1)"},
     {"logits = MatMul(h, Wt)"}},
    {"rank of its hidden states is unknown",
     kGather,
     {"f = Expand(h, flat)", "r = NonZero(f)", "c = Cast(r) {to=1}", "y = MatMul(c, Wt)",
      "logits = Reshape(y, unflat)"}},
    {"another Gather by token ids reads",
     {"a = Gather(Q, input_ids)", "b = DequantizeLinear(a, scale, zero)", "c = Gather(Q, input_ids)",
      "d = DequantizeLinear(c, half, zero)", "E = Add(b, d)"},
     {"logits = MatMul(h, Wt)"}},
    {"table 'Qt': has 1 scales, blocks of 16 columns need 37",
     kGather,
     {"w = DequantizeLinear(Qt, scale) {axis=0, block_size=16}", "logits = MatMul(h, w)"}},
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
    converter::PairOf(converter::SplitExports({Path("model.onnx")}));
    ADD_FAILURE() << "not refused";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find(GetParam().name), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(All, RefusedExports, testing::ValuesIn(kRefusedExports));

}  // namespace
}  // namespace tied::test
