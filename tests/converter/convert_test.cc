// Every form of the tied pair becomes one table with the right results.
#include <cmath>
#include <tuple>

#include "converter/graph/tensor_ref.h"
#include "tests/converter/conversion.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

struct NamedLines {
  const char* name;
  Lines lines;
};
std::ostream& operator<<(std::ostream& out, const NamedLines& form) { return out << form.name; }

const NamedLines kHeads[] = {
    {"Transpose", {"wt = Transpose(W) {perm=[1,0]}", "L = MatMul(pre_logits, wt)"}},
    {"TransposeWithoutPerm", {"wt = Transpose(W)", "L = MatMul(pre_logits, wt)"}},
    {"Swapped",
     {"xt = Transpose(pre_logits) {perm=[0,2,1]}", "yt = MatMul(W, xt)", "L = Transpose(yt) {perm=[0,2,1]}"}},
    {"SwappedAndReshaped",
     {"xt = Transpose(pre_logits) {perm=[0,2,1]}", "yt = MatMul(W, xt)", "y = Transpose(yt) {perm=[0,2,1]}",
      "L = Reshape(y, unflat)"}},
    {"Gemm", {"x = Reshape(pre_logits, flat)", "y = Gemm(x, W) {transB=1}", "L = Reshape(y, unflat)"}},
    {"GemmOfTranspose",
     {"x = Reshape(pre_logits, flat)", "wt = Transpose(W)", "y = Gemm(x, wt)", "L = Reshape(y, unflat)"}},
    {"FusedMatMul", {"L = com.microsoft.FusedMatMul(pre_logits, W) {transB=1}"}},
    {"StoredTransposed", {"L = MatMul(pre_logits, Wt)"}},
    {"SqueezedHidden",
     {"x = Squeeze(pre_logits, axis1)", "wt = Transpose(W)", "y = MatMul(x, wt)", "L = Unsqueeze(y, axis1)"}},
    {"IdentitiesAndCasts",
     {"a = Identity(pre_logits)", "b = Cast(a) {to=1}", "v = Identity(W)", "wt = Transpose(v)", "y = MatMul(b, wt)",
      "c = Cast(y) {to=1}", "L = Identity(c)"}},
};
const NamedLines kBiasedHeads[] = {
    {"Add", {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "L = Add(y, bias)"}},
    {"AddFlipped", {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "L = Add(bias, y)"}},
    {"NamedAsTheOutput", {"wt = Transpose(W)", "logits = MatMul(pre_logits, wt)", "L = Add(logits, bias)"}},
    {"NamedAsTheOtherOutput",
     {"wt = Transpose(W)", "embed_matrix = MatMul(pre_logits, wt)", "L = Add(embed_matrix, bias)"}},
    {"CastBias", {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "b = Cast(bias) {to=1}", "L = Add(y, b)"}},
    {"ViewOfBias",
     {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "b = Reshape(bias, unflat)", "v = Flatten(b) {axis=1}",
      "L = Add(y, v)"}},
    {"GemmC", {"x = Reshape(pre_logits, flat)", "y = Gemm(x, W, bias) {transB=1}", "L = Reshape(y, unflat)"}},
};
const NamedLines kEmbeds[] = {
    {"Gather", {"E = Gather(W, input_ids)"}},
    {"GatherAxis0", {"E = Gather(W, input_ids) {axis=0}"}},
    {"FlatIds",
     {"i = Reshape(input_ids, m1)", "g = Gather(W, i)", "s = Shape(input_ids)", "t = Concat(s, width) {axis=0}",
      "E = Reshape(g, t)"}},
    {"SlicedShape",
     {"i = Reshape(input_ids, m1)", "g = Gather(W, i)", "s = Shape(input_ids)", "first = Slice(s, axis0, axis1)",
      "last = Slice(s, m1, width)", "t = Concat(first, last, width) {axis=0}", "E = Reshape(g, t)"}},
    {"IdsInPairs",
     {"i = Reshape(input_ids, pairs)", "g = Gather(W, i)", "s = Shape(input_ids)", "t = Concat(s, width) {axis=0}",
      "E = Reshape(g, t)"}},
    {"ArithmeticOnShapes",
     {"s = Shape(input_ids)", "never = Equal(s, m1)", "kept = Where(never, m1, s)", "same = Equal(s, s)",
      "dims = Where(same, kept, m1)", "twice = Add(width, width)", "two = Div(twice, width)", "half = Div(twice, two)",
      "product = Mul(two, half)", "cols = Sub(product, width)", "zero = Sub(axis1, axis1)", "a = Add(cols, zero)",
      "b = Mul(a, axis1)", "c = Div(b, axis1)", "t = Concat(dims, c) {axis=0}", "i = Reshape(input_ids, m1)",
      "g = Gather(W, i)", "E = Reshape(g, t)"}},
    {"UnsqueezedIds", {"i = Unsqueeze(input_ids, axis0)", "j = Squeeze(i, axis0)", "E = Gather(W, j)"}},
    {"FlattenedIds", {"i = Flatten(input_ids) {axis=1}", "E = Gather(W, i)"}},
    {"Identities", {"i = Identity(input_ids)", "v = Identity(W)", "g = Gather(v, i)", "E = Identity(g)"}},
};
const NamedLines kScaledEmbeds[] = {
    {"Mul", {"g = Gather(W, input_ids)", "E = Mul(g, scale)"}},
    {"MulByANarrowNumber",
     {"s = Cast(scale) {to=10}", "g = Gather(W, input_ids)", "c = Cast(g) {to=10}", "E = Mul(c, s)"}},
    {"MulFlipped", {"g = Gather(W, input_ids)", "E = Mul(scale, g)"}},
};

class Forms : public ConversionTest {
 protected:
  // Converts, and compares both entry points with the table in double precision.
  void ExpectRight(const ModelForm& form, float scale, bool biased) {
    ExpectRight(MakeModel(form, Folder()), scale, biased);
  }

  void ExpectRight(const onnx::ModelProto& model, float scale, bool biased) {
    Convert(model);
    const std::vector<int64_t> ids = {0, 36, 7, 7, 1, 2};
    const std::vector<float> table = Table();
    const std::vector<float> embeddings = RunEmbedding(ids, {2, 3});
    for (size_t i = 0; i < embeddings.size(); ++i) {
      ASSERT_EQ(embeddings[i], table[static_cast<size_t>(ids[i / kCols]) * kCols + i % kCols] * scale);
    }
    const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, 3 * size_t{kCols}, 9);
    const std::vector<float> logits = RunHead(hidden, {3, 1, kCols});
    for (size_t i = 0; i < logits.size(); ++i) {
      const DoubleDot dot = ExactDot(&table[i % kRows * kCols], &hidden[i / kRows * kCols], kCols);
      const double bias = biased ? static_cast<double>(Bias()[i % kRows]) : 0;
      const double bound = Gamma(kCols + 1) * (dot.magnitude + std::fabs(bias));
      ASSERT_LE(std::fabs(static_cast<double>(logits[i]) - dot.value - bias), bound) << i;
    }
    EXPECT_EQ(TableCount(), 1u);
    EXPECT_TRUE(Check());
  }
};

class AllForms : public Forms, public testing::WithParamInterface<std::tuple<NamedLines, NamedLines, Storage>> {};

TEST_P(AllForms, ComputeTheSame) {
  const auto& [head, embed, storage] = GetParam();
  ModelForm form;
  form.head = head.lines;
  form.embed = embed.lines;
  form.storage = storage;
  const bool scaled = embed.lines.back().find("Mul") != std::string::npos;
  bool biased = false;
  for (const std::string& line : head.lines) biased = biased || line.find("bias") != std::string::npos;
  ExpectRight(form, scaled ? kScale : 1.0f, biased);
}

INSTANTIATE_TEST_SUITE_P(Heads, AllForms,
                         testing::Combine(testing::ValuesIn(kHeads), testing::Values(kEmbeds[0]),
                                          testing::Values(Storage::kRaw, Storage::kTyped, Storage::kConstantNodes,
                                                          Storage::kRepeated, Storage::kExternal)));
INSTANTIATE_TEST_SUITE_P(BiasedHeads, AllForms,
                         testing::Combine(testing::ValuesIn(kBiasedHeads), testing::Values(kEmbeds[0]),
                                          testing::Values(Storage::kRaw)));
INSTANTIATE_TEST_SUITE_P(Embeds, AllForms,
                         testing::Combine(testing::Values(kHeads[0]), testing::ValuesIn(kEmbeds),
                                          testing::Values(Storage::kRaw, Storage::kConstantNodes)));
INSTANTIATE_TEST_SUITE_P(ScaledEmbeds, AllForms,
                         testing::Combine(testing::Values(kHeads[0]), testing::ValuesIn(kScaledEmbeds),
                                          testing::Values(Storage::kRaw)));

class Opsets : public Forms, public testing::WithParamInterface<int64_t> {};

// The axes of Squeeze and Unsqueeze became an input with opset 13.
TEST_P(Opsets, AreReadFrom11On) {
  ModelForm form;
  form.opset = GetParam();
  if (form.opset >= 13) {
    form.embed = {"i = Unsqueeze(input_ids, axis0)", "j = Squeeze(i, axis0)", "E = Gather(W, j)"};
  } else {
    form.embed = {"i = Unsqueeze(input_ids) {axes=[0]}", "j = Squeeze(i) {axes=[0]}", "E = Gather(W, j)"};
  }
  ExpectRight(form, 1.0f, false);
}

INSTANTIATE_TEST_SUITE_P(All, Opsets, testing::Values(11, 12, 13, 17, 18, 21));

TEST_F(Forms, NodesMayStandInAnyOrder) {
  ModelForm form;
  form.head = {"L = Identity(product)", "product = MatMul(pre_logits, wt)", "wt = Transpose(W)"};
  ExpectRight(form, 1.0f, false);
}

TEST_F(Forms, ConstantsMayBeListsAndNumbers) {
  for (const bool list : {false, true}) {
    ModelForm form;
    form.embed = {"axes = Constant()",    "factor = Constant()", "i = Unsqueeze(input_ids, axes)",
                  "j = Squeeze(i, axes)", "g = Gather(W, j)",    "E = Mul(g, factor)"};
    onnx::ModelProto model = MakeModel(form, Folder());
    for (onnx::NodeProto& node :
         *model.mutable_graph()->mutable_node(0)->mutable_attribute(1)->mutable_g()->mutable_node()) {
      if (node.output(0) != "axes" && node.output(0) != "factor") continue;
      onnx::AttributeProto* value = node.add_attribute();
      if (node.output(0) == "axes") {
        value->set_name("value_ints");
        value->set_type(onnx::AttributeProto::INTS);
        value->add_ints(0);
      } else if (list) {
        value->set_name("value_floats");
        value->set_type(onnx::AttributeProto::FLOATS);
        value->add_floats(kScale);
      } else {
        value->set_name("value_float");
        value->set_type(onnx::AttributeProto::FLOAT);
        value->set_f(kScale);
      }
    }
    ExpectRight(model, kScale, false);
  }
}

TEST_F(Forms, NamesDoNotMatter) {
  onnx::ModelProto model = MakeModel({}, Folder());
  std::string text = model.SerializeAsString();
  for (const std::string name :
       {"use_lm_head", "input_ids", "pre_logits", "embed_matrix", "head_branch", "embed_branch"}) {
    for (size_t at; (at = text.find(name)) != std::string::npos;) text[at] = 'q';
  }
  ASSERT_TRUE(model.ParseFromString(text));
  Convert(model);
  EXPECT_EQ(EntryPointNames(), (std::vector<std::string>{"qead_branch", "qmbed_branch"}));
  EXPECT_TRUE(Check());
}

TEST_F(Forms, ANegatedConditionSwapsTheSelectors) {
  onnx::ModelProto model = MakeModel({}, Folder());
  onnx::NodeProto* node = model.mutable_graph()->mutable_node(0);
  node->set_input(0, "negated");
  const onnx::NodeProto saved = *node;
  model.mutable_graph()->clear_node();
  AddNodes(model.mutable_graph(), {"negated = Not(use_lm_head)"});
  *model.mutable_graph()->add_node() = saved;
  Convert(model);
  EXPECT_EQ(SelectorValue(0), 0);
  EXPECT_EQ(SelectorValue(1), 1);
  EXPECT_TRUE(Check());
}

TEST_F(Forms, AModelWithoutIfHasOneEntryPoint) {
  onnx::ModelProto model = MakeModel({}, Folder());
  onnx::GraphProto* graph = model.mutable_graph();
  graph->clear_node();
  AddNodes(graph, {"embed_matrix = Gather(W, input_ids)", "wt = Transpose(W)", "logits = MatMul(pre_logits, wt)"});
  Convert(model);
  EXPECT_EQ(EntryPointNames(), (std::vector<std::string>{"main_graph"}));
  EXPECT_TRUE(Check());
}

TEST_F(Forms, IdsMayBeInt32) {
  onnx::ModelProto model = MakeModel({}, Folder());
  model.mutable_graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT32);
  Convert(model);
  EXPECT_TRUE(Check());
}

TEST_F(Forms, OutputsMayBeConstantsOfAnyTypeOfTensors) {
  onnx::ModelProto model = MakeModel({}, Folder());
  for (const auto& [type, bytes] : {std::pair(onnx::TensorProto::FLOAT, "\0\0\x20\xc1"),
                                    {onnx::TensorProto::FLOAT16, "\0\xc5"},
                                    {onnx::TensorProto::BFLOAT16, "\x20\xc1"},
                                    {onnx::TensorProto::INT32, "\xfb\xff\xff\xff"},
                                    {onnx::TensorProto::INT64, "\xfb\xff\xff\xff\xff\xff\xff\xff"},
                                    {onnx::TensorProto::BOOL, "\1"}}) {
    onnx::TensorProto tensor = RawTensor("constant_" + std::to_string(type), {1}, {});
    tensor.set_data_type(type);
    tensor.set_raw_data(bytes, converter::ElementSize(static_cast<converter::ElementType>(type)));
    AddConstant(model.mutable_graph(), tensor);
    AddValue(model.mutable_graph()->mutable_output(), tensor.name(), type, {1});
  }
  Convert(model);
  EXPECT_TRUE(Check());
}

TEST_F(Forms, AConstantOutputHasTheShapeThatAViewGivesIt) {
  onnx::ModelProto model = MakeModel({}, Folder());
  onnx::GraphProto* graph = model.mutable_graph();
  AddConstant(graph, RawTensor("six", {2, 3}, {1, 2, 3, 4, 5, 6}));
  AddConstant(graph, IntTensor("shape", {3, 1, 2}));
  AddNodes(graph, {"viewed = Reshape(six, shape)"});
  AddValue(graph->mutable_output(), "viewed", onnx::TensorProto::FLOAT, {3, 1, 2});
  Convert(model);
  EXPECT_TRUE(Check());
}

// Replaces the else-branch by a nested If whose branches both contain the embedding. The table in it is named "W".
void NestIfs(onnx::GraphProto* graph, const onnx::TensorProto& table) {
  AddValue(graph->mutable_input(), "deeper", onnx::TensorProto::BOOL, {1});
  onnx::GraphProto* otherwise = graph->mutable_node(0)->mutable_attribute(1)->mutable_g();
  onnx::GraphProto outer;
  outer.set_name("outer");
  onnx::NodeProto* inner = outer.add_node();
  inner->set_op_type("If");
  inner->set_name("inner_node");
  inner->add_input("deeper");
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::AttributeProto* branch = inner->add_attribute();
    branch->set_name(name);
    branch->set_type(onnx::AttributeProto::GRAPH);
    *branch->mutable_g() = *otherwise;
    branch->mutable_g()->set_name(std::string("inner_") + name);
  }
  for (const char* output : {"inner_embed", "inner_logits"}) {
    inner->add_output(output);
    AddValue(outer.mutable_output(), output, onnx::TensorProto::FLOAT, {-1, -1, -1});
  }
  *outer.add_initializer() = table;
  *otherwise = outer;
}

TEST_F(Forms, NestedIfsHaveOneEntryPointForEachPath) {
  onnx::ModelProto model = MakeModel({}, Folder());
  NestIfs(model.mutable_graph(), model.graph().initializer(0));  // inside and outside, a table of the same name
  Convert(model);
  EXPECT_EQ(EntryPointNames(), (std::vector<std::string>{"head_branch", "inner_then_branch", "inner_else_branch"}));
  EXPECT_TRUE(Check());
}

}  // namespace
}  // namespace tied::test
