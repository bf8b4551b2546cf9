// Unsupported and invalid models are refused with a message that names the fault, and no file is left.
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "converter/split/split.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

struct Fault {
  const char* name;
  ModelForm form;
  std::function<void(onnx::ModelProto&)> damage;
  std::vector<std::string> words;  // all in the message
};
std::ostream& operator<<(std::ostream& out, const Fault& fault) { return out << fault.name; }

ModelForm Head(const Lines& lines) {
  ModelForm form;
  form.head = lines;
  return form;
}
ModelForm Embed(const Lines& lines) {
  ModelForm form;
  form.embed = lines;
  return form;
}
ModelForm Stored(Storage storage) {
  ModelForm form;
  form.storage = storage;
  return form;
}

onnx::GraphProto* Branch(onnx::ModelProto& model, int index) {
  return model.mutable_graph()->mutable_node(0)->mutable_attribute(index)->mutable_g();
}
onnx::TensorProto* Initializer(onnx::GraphProto* graph, const std::string& name) {
  for (onnx::TensorProto& tensor : *graph->mutable_initializer()) {
    if (tensor.name() == name) return &tensor;
  }
  return nullptr;
}
onnx::TensorProto* Table(onnx::ModelProto& model) { return Initializer(model.mutable_graph(), "W"); }
void FlipBit(onnx::TensorProto* tensor, size_t byte) {
  std::string* data = tensor->mutable_raw_data();
  (*data)[byte] = static_cast<char>((*data)[byte] ^ 1);
}
void SetExternal(onnx::ModelProto& model, const std::string& key, const std::string& value) {
  for (onnx::StringStringEntryProto& entry : *Table(model)->mutable_external_data()) {
    if (entry.key() == key) entry.set_value(value);
  }
}
void SetType(onnx::ValueInfoProto* value, int type) {
  value->mutable_type()->mutable_tensor_type()->set_elem_type(type);
}
void Nothing(onnx::ModelProto&) {}

const Lines kHead = {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)"};
Lines With(Lines lines, const std::string& line) {
  lines.push_back(line);
  return lines;
}

// Each line doubles the size of the value before.
Lines Doubled(const std::string& first, const std::string& operation, const std::string& attributes) {
  Lines lines = {"g = Gather(W, input_ids)", first};
  for (int i = 0; i < 40; ++i) {
    const std::string last = "d" + std::to_string(i);
    lines.push_back("d" + std::to_string(i + 1) + " = " + operation + "(" + last + ", " + last + ")" + attributes);
  }
  return With(lines, "E = Reshape(g, d40)");
}

void AddBytes(onnx::ModelProto& model, const char* name, onnx::TensorProto::DataType type, size_t count) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(type);
  if (count > 1) tensor->add_dims(static_cast<int64_t>(count));
  tensor->set_raw_data(std::string(count, '\1'));
}

// W of integers with one scale, and these zero points.
Fault ZeroPoints(const char* name, onnx::TensorProto::DataType type, size_t count, const char* words) {
  ModelForm form;
  form.head = {"w = DequantizeLinear(W, scale, zero)", "wt = Transpose(w)", "L = MatMul(pre_logits, wt)"};
  form.embed = {"w = DequantizeLinear(W, scale, zero)", "E = Gather(w, input_ids)"};
  const auto damage = [type, count](onnx::ModelProto& model) {
    Table(model)->set_data_type(onnx::TensorProto::INT8);
    Table(model)->mutable_raw_data()->resize(size_t{kRows * kCols});
    AddBytes(model, "zero", type, count);
  };
  return {name, form, damage, {"'W'", words}};
}

ModelForm BlocksOfBytes() {
  ModelForm form;
  form.head = {"L = com.microsoft.MatMulNBits(pre_logits, W, scales, zero) {N=37, K=48, bits=8, block_size=16}"};
  form.embed = {"E = com.microsoft.GatherBlockQuantized(W, input_ids, scales, zero) {bits=8, block_size=16}"};
  return form;
}

// Broadcasting with the bias turns one row into several; the row has the length of the bias.
Fault SquareLogits(const char* name, const Lines& head, std::vector<int64_t> dims) {
  dims.insert(dims.begin(), -1);
  const auto damage = [dims](onnx::ModelProto& model) {
    model.mutable_graph()->mutable_input()->RemoveLast();
    AddValue(model.mutable_graph()->mutable_input(), "pre_logits", onnx::TensorProto::FLOAT, {-1, kRows, kCols});
    model.mutable_graph()->mutable_output()->RemoveLast();
    AddValue(model.mutable_graph()->mutable_output(), "logits", onnx::TensorProto::FLOAT, dims);
  };
  return {name, Head(head), damage, {"L_node", "Add"}};
}

const Fault kFaults[] = {
    ZeroPoints("ZeroPointsOfAnotherType", onnx::TensorProto::UINT8, 1, "another type"),
    ZeroPoints("ZeroPointsForOneScale", onnx::TensorProto::INT8, 37, "37 zero points for 1 scales"),
    {"ZeroPointsForOtherBlocks",
     BlocksOfBytes(),
     [](onnx::ModelProto& model) {
       Table(model)->set_data_type(onnx::TensorProto::UINT8);
       Table(model)->set_dims(1, int64_t{4 * kCols});
       *model.mutable_graph()->add_initializer() =
           RawTensor("scales", {kRows, 3}, std::vector<float>(size_t{3 * kRows}, 1.0f));
       AddBytes(model, "zero", onnx::TensorProto::UINT8, size_t{3 * kRows - 1});
     },
     {"'W'", "zero points do not fit"}},
    {"OpOnLogits", Head(With(kHead, "L = Relu(y)")), Nothing, {"L_node", "Relu"}},
    {"OpOnHidden",
     Head({"x = Tanh(pre_logits)", "wt = Transpose(W)", "L = MatMul(x, wt)"}),
     Nothing,
     {"x_node", "Tanh"}},
    {"OpOnEmbedding", Embed({"g = Gather(W, input_ids)", "E = Softmax(g)"}), Nothing, {"E_node", "Softmax"}},
    {"UnknownDomain", Head({"L = my.own.Head(pre_logits, W)"}), Nothing, {"L_node", "my.own.Head"}},
    {"GatherOfColumns", Embed({"E = Gather(W, input_ids) {axis=1}"}), Nothing, {"E_node", "Gather"}},
    {"GemmWithANumberAsBias",
     Head({"x = Reshape(pre_logits, flat)", "y = Gemm(x, W, scale) {transB=1}", "L = Reshape(y, unflat)"}),
     Nothing,
     {"y_node", "bias 'scale'"}},
    {"NumberAddedToLogits", Head(With(kHead, "L = Add(y, scale)")), Nothing, {"L_node", "Add"}},
    SquareLogits("BiasAlongAnotherDimension",
                 {"y = MatMul(pre_logits, Wt)", "b = Unsqueeze(bias, m1)", "L = Add(y, b)"}, {kRows, kRows}),
    SquareLogits("BiasBesideColumns", {"x = Unsqueeze(pre_logits, m1)", "y = MatMul(W, x)", "L = Add(y, bias)"},
                 {kRows, kRows, kRows}),
    {"ViewOfNumbersThatAreNotThere",
     Embed({"none = Constant()", "one = Reshape(none, axis1)", "g = Gather(W, input_ids)", "E = Mul(g, one)"}),
     [](onnx::ModelProto& model) {
       onnx::NodeProto* none = Branch(model, 1)->mutable_node(1);
       *none->add_attribute() = Branch(model, 1)->node(0).attribute(0);
     },
     {"one_node", "Reshape"}},
    {"PermOfAnotherRank",
     Head({"wt = Transpose(W) {perm=[0,2,1]}", "L = MatMul(pre_logits, wt)"}),
     Nothing,
     {"wt_node", "rank"}},
    {"PermBehindTheRank",
     Head({"wt = Transpose(W) {perm=[0,2]}", "L = MatMul(pre_logits, wt)"}),
     Nothing,
     {"wt_node", "does not exist"}},
    {"ConstantIds", Embed({"E = Gather(W, axis0)"}), Nothing, {"E_node", "'axis0' is not an input"}},
    {"FloatIds",
     {},
     [](onnx::ModelProto& model) { SetType(model.mutable_graph()->mutable_input(1), onnx::TensorProto::FLOAT); },
     {"E_node", "input_ids", "element type"}},
    {"EmbeddingsDeclaredAsIntegers",
     {},
     [](onnx::ModelProto& model) { SetType(model.mutable_graph()->mutable_output(0), onnx::TensorProto::INT64); },
     {"embed_matrix", "float32", "declared"}},
    {"ShapeOfAnotherInput",
     Embed({"g = Gather(W, input_ids)", "s = Shape(pre_logits)", "b = Slice(s, axis0, axis1)",
            "t = Concat(b, m1, width) {axis=0}", "E = Reshape(g, t)"}),
     Nothing,
     {"embed_matrix", "more than one dimension"}},
    {"SqueezeOfFreeDimensions", Head(With(kHead, "L = Squeeze(y)")), Nothing, {"logits", "does not follow"}},
    {"ShapeOfASum",
     Embed({"g = Gather(W, input_ids)", "i = Unsqueeze(input_ids, axis1)", "sum = Add(i, input_ids)", "s = Shape(sum)",
            "t = Concat(s, width) {axis=0}", "E = Reshape(g, t)"}),
     Nothing,
     {"embed_matrix", "does not follow"}},
    {"ShapeThatWasBoolean",
     Embed({"g = Gather(W, input_ids)", "b = Cast(width) {to=9}", "i = Cast(b) {to=7}",
            "t = Concat(m1, i, width) {axis=0}", "E = Reshape(g, t)"}),
     Nothing,
     {"embed_matrix", "does not follow"}},
    {"ShapeThatInt32DoesNotHold",
     Embed({"g = Gather(W, input_ids)", "i = Cast(huge) {to=6}", "j = Cast(i) {to=7}",
            "t = Concat(m1, j, width) {axis=0}", "E = Reshape(g, t)"}),
     [](onnx::ModelProto& model) { *model.mutable_graph()->add_initializer() = IntTensor("huge", {(1LL << 32) + 1}); },
     {"embed_matrix", "does not follow"}},
    {"ContentsThatDouble", Embed(Doubled("d0 = Identity(pairs)", "Concat", " {axis=0}")), Nothing, {"does not follow"}},
    {"RankThatDoubles", Embed(Doubled("d0 = Unsqueeze(axis0, axis0)", "Gather", "")), Nothing, {"does not follow"}},
    {"RowOfShapes",
     Embed({"i = Reshape(input_ids, m1)", "g = Gather(W, i)", "s = Shape(input_ids)", "u = Unsqueeze(s, axis0)",
            "r = Gather(u, axis0)", "v = Squeeze(r, axis0)", "t = Concat(v, width) {axis=0}", "E = Reshape(g, t)"}),
     Nothing,
     {"embed_matrix", "does not follow"}},
    {"ConcatOfShapes",
     Embed({"i = Reshape(input_ids, m1)", "g = Gather(W, i)", "s = Shape(input_ids)", "u = Unsqueeze(s, axis1)",
            "w = Unsqueeze(width, axis1)", "t = Concat(u, w) {axis=0}", "E = Reshape(g, t)"}),
     Nothing,
     {"embed_matrix", "does not follow"}},
    {"SliceOfShapes",
     Embed({"i = Reshape(input_ids, m1)", "g = Gather(W, i)", "s = Shape(input_ids)", "u = Unsqueeze(s, axis0)",
            "r = Slice(u, axis0, axis1)", "v = Squeeze(r, axis0)", "t = Concat(v, width) {axis=0}",
            "E = Reshape(g, t)"}),
     Nothing,
     {"embed_matrix", "does not follow"}},
    {"DimensionsWhoseProductWraps",
     Embed({"i = Flatten(input_ids) {axis=2}", "E = Gather(W, i)"}),
     [](onnx::ModelProto& model) {
       auto* inputs = model.mutable_graph()->mutable_input();
       AddValue(inputs, "input_ids", onnx::TensorProto::INT64, std::vector<int64_t>(4, int64_t{1} << 40));
       inputs->SwapElements(1, 3);
       inputs->RemoveLast();
     },
     {"embed_matrix", "more than one dimension"}},
    {"LargeConstantOutput",
     {},
     [](onnx::ModelProto& model) {
       std::vector<float> numbers(20000);
       numbers.back() = 1;
       *Branch(model, 0)->mutable_node(0)->mutable_attribute(0)->mutable_t() = RawTensor("", {20000}, numbers);
     },
     {"'nothing'", "80000 bytes"}},
    {"ConstantOfAnotherKind",
     {},
     [](onnx::ModelProto& model) { Branch(model, 0)->mutable_node(0)->mutable_attribute(0)->set_name("sparse_value"); },
     {"nothing_node", "kind of constant"}},
    {"BranchWithTooFewOutputs",
     {},
     [](onnx::ModelProto& model) { Branch(model, 0)->mutable_output()->RemoveLast(); },
     {"if_node", "head_branch", "number of outputs"}},
    {"BranchWithAnOutputFromNowhere",
     {},
     [](onnx::ModelProto& model) { Branch(model, 0)->mutable_output(1)->set_name("logits"); },
     {"head_branch", "'logits' is not computed"}},
    {"IfWithoutElse",
     {},
     [](onnx::ModelProto& model) { model.mutable_graph()->mutable_node(0)->mutable_attribute()->RemoveLast(); },
     {"if_node", "no else_branch"}},
    {"BranchOfAnotherType",
     {},
     [](onnx::ModelProto& model) {
       model.mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_type(onnx::AttributeProto::INT);
     },
     {"if_node", "then_branch", "its type differs"}},
    {"BranchWithAnOutputWithoutName",
     {},
     [](onnx::ModelProto& model) {
       Branch(model, 0)->mutable_output(1)->set_name("");
       Branch(model, 0)->mutable_node(0)->add_output("");
     },
     {"head_branch", "'' is not computed"}},
    {"Cycle", Head({"a = Identity(b)", "b = Identity(a)", "L = MatMul(b, Wt)"}), Nothing, {"_node", "before"}},
    {"ValueMadeTwice",
     Head({"wt = Transpose(W)", "wt = Transpose(W)", "L = MatMul(pre_logits, wt)"}),
     Nothing,
     {"wt_node", "already"}},
    {"ComputedCondition",
     {},
     [](onnx::ModelProto& model) {
       const onnx::NodeProto node = model.graph().node(0);
       model.mutable_graph()->clear_node();
       AddNodes(model.mutable_graph(), {"c = Greater(input_ids, input_ids)"});
       *model.mutable_graph()->add_node() = node;
       model.mutable_graph()->mutable_node(1)->set_input(0, "c");
     },
     {"if_node", "If", "c_node", "Greater"}},
    {"ConditionThatIsNoBoolean",
     {},
     [](onnx::ModelProto& model) { model.mutable_graph()->mutable_node(0)->set_input(0, "input_ids"); },
     {"if_node", "input_ids"}},
    {"TiedButForOneBit",
     Stored(Storage::kRepeated),
     [](onnx::ModelProto& model) { FlipBit(Initializer(Branch(model, 1), "W"), 1000); },
     {"not tied", "differ"}},
    {"SameNameInTwoIfs",
     Stored(Storage::kRepeated),
     [](onnx::ModelProto& model) {
       onnx::NodeProto embed = model.graph().node(0), head = model.graph().node(0);
       *embed.mutable_attribute(0)->mutable_g() = embed.attribute(1).g();
       *head.mutable_attribute(1)->mutable_g() = head.attribute(0).g();
       embed.set_output(1, "no_logits");
       head.set_output(0, "no_embeddings");
       for (int i : {0, 1}) FlipBit(Initializer(head.mutable_attribute(i)->mutable_g(), "W"), 1000);
       model.mutable_graph()->clear_node();
       *model.mutable_graph()->add_node() = embed;
       *model.mutable_graph()->add_node() = head;
     },
     {"not tied", "differ"}},
    {"TransposedButForOneBit",
     Head({"L = MatMul(pre_logits, Wt)"}),
     [](onnx::ModelProto& model) { FlipBit(Initializer(model.mutable_graph(), "Wt"), 4); },
     {"not tied", "Wt"}},
    {"TablesOfOtherShapes",
     Stored(Storage::kRepeated),
     [](onnx::ModelProto& model) {
       *Initializer(Branch(model, 1), "W") =
           RawTensor("W", {kRows - 1, kCols}, std::vector<float>(size_t{(kRows - 1) * kCols}));
     },
     {"not tied", "[36, 12]", "[37, 12]"}},
    {"TruncatedRawData",
     {},
     [](onnx::ModelProto& model) { Table(model)->mutable_raw_data()->pop_back(); },
     {"W", "1775", "1776"}},
    {"ShapeThatWraps", {}, [](onnx::ModelProto& model) { Table(model)->set_dims(0, int64_t{1} << 62); }, {"W"}},
    {"NegativeDimension", {}, [](onnx::ModelProto& model) { Table(model)->set_dims(0, -37); }, {"W"}},
    {"Float64Table",
     {},
     [](onnx::ModelProto& model) {
       Table(model)->set_data_type(onnx::TensorProto::DOUBLE);
       Table(model)->mutable_raw_data()->resize(size_t{8 * kRows * kCols});
     },
     {"W", "11"}},
    {"ValuesInTwoPlaces",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { Table(model)->set_raw_data(std::string(sizeof(float) * kRows * kCols, 'y')); },
     {"'W'", "both"}},
    {"ManyValuesInTwoPlaces",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { Table(model)->set_raw_data(std::string(5000, 'y')); },
     {"'W'", "both"}},
    {"ExternalAboveTheFolder",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "location", "../table.bin"); },
     {"../table.bin", "folder"}},
    {"ExternalAbsolute",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "location", "/etc/passwd"); },
     {"/etc/passwd", "folder"}},
    {"ExternalMissing",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "location", "nowhere.bin"); },
     {"nowhere.bin"}},
    {"ExternalTooShort",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "offset", "68"); },
     {"table.bin"}},
    {"ExternalOffsetThatWraps",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "offset", "18446744073709551612"); },
     {"W"}},
    {"ExternalOffsetThatIsNoNumber",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "offset", "12abc"); },
     {"12abc"}},
    {"ExternalNameWithoutEnd",
     Stored(Storage::kExternal),
     [](onnx::ModelProto& model) { SetExternal(model, "location", std::string(5000, 'x')); },
     {"'W'", "not a path"}},
    {"NoOpset", {}, [](onnx::ModelProto& model) { model.clear_opset_import(); }, {"opset 1"}},
    {"TwoTables",
     Embed({"g = Gather(W, input_ids)", "h = Gather(Wt, input_ids)", "E = Add(g, h)"}),
     Nothing,
     {"E_node", "Add"}},
    {"SparseTable", {}, [](onnx::ModelProto& model) { model.mutable_graph()->add_sparse_initializer(); }, {"sparse"}},
    {"StringTable",
     {},
     [](onnx::ModelProto& model) {
       Table(model)->set_data_type(onnx::TensorProto::STRING);
       Table(model)->clear_raw_data();
       Table(model)->add_string_data("a");
     },
     {"L_node", "'W'", "type 8"}},
    {"StringInput",
     {},
     [](onnx::ModelProto& model) {
       AddValue(model.mutable_graph()->mutable_input(), "text", onnx::TensorProto::STRING, {1});
     },
     {"'text'", "type"}},
    {"NineDimensions",
     {},
     [](onnx::ModelProto& model) {
       AddValue(model.mutable_graph()->mutable_input(), "deep", onnx::TensorProto::FLOAT, std::vector<int64_t>(9, 1));
     },
     {"'deep'", "9 dimensions"}},
    {"InputTwice",
     {},
     [](onnx::ModelProto& model) { *model.mutable_graph()->add_input() = model.graph().input(1); },
     {"two inputs", "input_ids"}},
    {"OutputTwice",
     {},
     [](onnx::ModelProto& model) {
       onnx::GraphProto* graph = model.mutable_graph();
       graph->mutable_output(1)->set_name(graph->output(0).name());
     },
     {"two outputs", "embed_matrix"}},
    {"InitializerTwice",
     {},
     [](onnx::ModelProto& model) { *model.mutable_graph()->add_initializer() = *Table(model); },
     {"two initializers", "'W'"}},
    {"TableThatHidesAnother",
     Stored(Storage::kRepeated),
     [](onnx::ModelProto& model) {
       *model.mutable_graph()->add_initializer() =
           RawTensor("W", {kRows, kCols}, std::vector<float>(size_t{kRows * kCols}));
     },
     {"'W' hides a value"}},
    {"TableThatHidesAnInput",
     Stored(Storage::kRepeated),
     [](onnx::ModelProto& model) {
       AddValue(model.mutable_graph()->mutable_input(), "W", onnx::TensorProto::FLOAT, {1});
     },
     {"'W' hides a value"}},
    {"InitializerWithoutName",
     {},
     [](onnx::ModelProto& model) { *model.mutable_graph()->add_initializer() = IntTensor("", {1}); },
     {"an initializer has no name"}},
    {"InputWithoutName",
     {},
     [](onnx::ModelProto& model) {
       AddValue(model.mutable_graph()->mutable_input(), "", onnx::TensorProto::INT64, {1});
     },
     {"an input has no name"}},
    {"InputWithoutShape",
     {},
     [](onnx::ModelProto& model) {
       model.mutable_graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->clear_shape();
     },
     {"'input_ids'", "no shape"}},
    {"TooManyNodes",
     {},
     [](onnx::ModelProto& model) {
       for (int i = 0; i < 2000; ++i) *Branch(model, 1)->add_node() = Branch(model, 1)->node(1);
     },
     {"200", "nodes", "2000"}},
    {"NodeWithoutOutput",
     {},
     [](onnx::ModelProto& model) { Branch(model, 0)->mutable_node(1)->clear_output(); },
     {"wt_node", "no output"}},
    {"IfsInIfs",
     {},
     [](onnx::ModelProto& model) {
       for (int i = 0; i < 20; ++i) {
         const onnx::NodeProto inner = model.graph().node(0);
         Branch(model, 0)->clear_node();
         *Branch(model, 0)->add_node() = inner;
       }
     },
     {"nested too deeply"}},
    {"IfsAfterIfs",
     {},
     [](onnx::ModelProto& model) {
       for (int i = 0; i < 65; ++i) {
         onnx::NodeProto node = model.graph().node(0);
         node.set_output(0, "e" + std::to_string(i));
         node.set_output(1, "l" + std::to_string(i));
         AddValue(model.mutable_graph()->mutable_output(), node.output(1), onnx::TensorProto::FLOAT, {-1, 1, kRows});
         *model.mutable_graph()->add_node() = node;
       }
     },
     {"if_node", "too many Ifs"}},
    {"FloatsAsBlocks",
     Head({"L = com.microsoft.MatMulNBits(pre_logits, W, bias) {N=37, K=32, bits=8, block_size=48}"}),
     [](onnx::ModelProto& model) { Branch(model, 0)->mutable_node(1)->mutable_attribute(1)->set_i(48); },
     {"L_node", "integers"}},
    {"NoTable",
     {},
     [](onnx::ModelProto& model) {
       onnx::GraphProto* graph = model.mutable_graph();
       graph->clear_node();
       graph->clear_output();
       AddValue(graph->mutable_output(), "n", onnx::TensorProto::INT64, {1});
       AddConstant(graph, IntTensor("n", {3}));
     },
     {"neither"}},
    {"OpsetBefore11",
     {},
     [](onnx::ModelProto& model) { model.mutable_opset_import(0)->set_version(10); },
     {"opset 10", "11 and newer"}},
    {"NoGraph", {}, [](onnx::ModelProto& model) { model.clear_graph(); }, {"model.onnx"}},
    {"DanglingInput", Head({"wt = Transpose(W)", "L = MatMul(ghost, wt)"}), Nothing, {"L_node", "ghost"}},
};

class Refusals : public ConversionTest, public testing::WithParamInterface<Fault> {};

TEST_P(Refusals, NameTheFaultAndLeaveNothing) {
  const Fault& fault = GetParam();
  onnx::ModelProto model = MakeModel(fault.form, Folder());
  fault.damage(model);
  Save(model, Path("model.onnx"));
  const std::vector<std::string> before = Files();
  const std::string message = Refusal(Path("model.onnx"));
  EXPECT_NE(message, "");
  for (const std::string& word : fault.words) EXPECT_NE(message.find(word), std::string::npos) << message;
  EXPECT_EQ(Files(), before);
}

INSTANTIATE_TEST_SUITE_P(Faults, Refusals, testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

class UnsoundFiles : public ConversionTest {};

TEST_F(UnsoundFiles, AreRefusedByName) {
  std::ofstream(Path("empty")).flush();
  std::ofstream(Path("text")) << std::string(1000, 'a');
  std::ofstream(Path("groups")) << "\x0b\x0c";  // a kind of field that protobuf has given up
  std::ofstream(Path("large")).flush();
  std::filesystem::resize_file(Path("large"), uint64_t{1} << 31);
  std::filesystem::create_directory(Path("folder"));
  const std::pair<const char*, const char*> refusals[] = {{"empty", "is empty"},   {"text", "not an ONNX model"},
                                                          {"groups", "wire type"}, {"large", "2 GB"},
                                                          {"folder", ""},          {"missing", ""}};
  for (const auto& [name, reason] : refusals) {
    const std::string message = Refusal(Path(name));
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
  }
  EXPECT_EQ(Files(), (std::vector<std::string>{"empty", "folder", "groups", "large", "text"}));
}

// Links may point to files in the folder, but not outside.
TEST_F(UnsoundFiles, ExternalDataBehindLinksStaysInTheFolder) {
  namespace fs = std::filesystem;
  ModelForm form = Stored(Storage::kExternal);
  onnx::ModelProto model = MakeModel(form, Folder());
  const std::string outside = Folder() + "_outside";
  fs::create_directory(outside);
  fs::copy(Path("table.bin"), outside + "/table.bin");
  fs::create_symlink(outside + "/table.bin", Path("leaves.bin"));
  fs::create_symlink(outside, Path("folder"));
  fs::create_symlink(outside + "/nothing.bin", Path("dangles_outside.bin"));
  fs::create_symlink("nothing.bin", Path("dangles.bin"));
  fs::create_symlink("loop.bin", Path("loop.bin"));
  fs::create_symlink("table.bin", Path("stays.bin"));
  const std::pair<const char*, const char*> refusals[] = {
      {"leaves.bin", "leaves"},          {"folder/table.bin", "leaves"}, {"dangles_outside.bin", "does not exist"},
      {"dangles.bin", "does not exist"}, {"loop.bin", "not a path"},     {"stays.bin", ""}};
  for (const auto& [location, reason] : refusals) {
    SetExternal(model, "location", location);
    Save(model, Path("model.onnx"));
    const std::string message = Refusal(Path("model.onnx"));
    EXPECT_EQ(message.empty(), *reason == '\0') << location << ": " << message;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
  }
  fs::remove_all(outside);
}

TEST_F(UnsoundFiles, DeepMessagesAreRefused) {
  std::string nested;
  for (int i = 0; i < 300; ++i) {
    std::string length;
    for (size_t rest = nested.size(); rest > 0 || length.empty(); rest >>= 7) {
      length += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    }
    // GraphProto.node, NodeProto.attribute, AttributeProto.g, in turn.
    nested = (i % 3 == 0 ? '\x32' : i % 3 == 1 ? '\x2a' : '\x0a') + length + nested;
  }
  std::ofstream(Path("deep.onnx"), std::ios::binary) << nested;
  EXPECT_NE(Refusal(Path("deep.onnx")), "");
}

TEST_F(UnsoundFiles, AreNotTakenApart) {
  const auto refusal = [&](const Lines& nodes) -> std::string {
    onnx::ModelProto model = MakeModel({}, Folder());
    onnx::GraphProto* graph = model.mutable_graph();
    graph->clear_node();
    AddNodes(graph, nodes);
    Save(model, Path("model.onnx"));
    try {
      (void)converter::SplitOnnx(Path("model.onnx"));
    } catch (const converter::ConvertError& error) {
      return error.what();
    }
    return "";
  };
  const std::pair<Lines, const char*> exports[] = {
      {{"embed_matrix = Gather(W, input_ids)", "logits = Identity(a)", "a = Identity(logits)"},
       "not computed before it"},
      {{"embed_matrix = Gather(W, input_ids)", "wt = Transpose()", "logits = MatMul(pre_logits, wt)"}, "logits"},
      {{"embed_matrix = Gather(W, input_ids)", "again = Gather(W2, input_ids)", "logits = MatMul(pre_logits, Wt)"},
       "again_node"}};
  for (const auto& [nodes, word] : exports) {
    const std::string message = refusal(nodes);
    EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

TEST_F(UnsoundFiles, EveryTruncationOfAModelIsRefused) {
  const std::string whole = MakeModel({}, Folder()).SerializeAsString();
  for (size_t length = 0; length < whole.size(); length += 7) {
    std::ofstream(Path("cut.onnx"), std::ios::binary) << whole.substr(0, length);
    EXPECT_NE(Refusal(Path("cut.onnx")), "") << length;
    EXPECT_EQ(Files(), std::vector<std::string>{"cut.onnx"});
  }
}

}  // namespace
}  // namespace tied::test
