// Each pass on a graph of text.
#include "converter/passes/passes.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "converter/graph/graph.h"
#include "converter/graph/shapes.h"
#include "tests/converter/onnx_builder.h"

namespace tied::test {
namespace {

using converter::Graph;
using Pass = std::function<Graph(Graph)>;

struct Rewrite {
  const char* name;
  Pass pass;
  Lines before;
  const char* after;  // the lines of the nodes
};
std::ostream& operator<<(std::ostream& out, const Rewrite& rewrite) { return out << rewrite.name; }

template <Graph (*pass)(Graph, const converter::Shapes&)>
Graph WithShapes(Graph graph) {
  const converter::Shapes shapes = converter::InferShapes(graph);
  return pass(std::move(graph), shapes);
}

Graph Dequantised(Graph graph) { return converter::DropDeadCode(converter::Dequantise(std::move(graph))); }

const Rewrite kRewrites[] = {
    {"ConstantNodesAreFolded", converter::FoldConstants, {"y = Add(x, bias)"}, "y = Add(x, bias)\n"},
    {"IdentitiesAreDropped",
     converter::DropNoOps,
     {"a = Identity(x)", "b = Cast(a) {to=1}", "y = Relu(b)"},
     "y = Relu(x)\n"},
    {"CastsBetweenFloatsAreDropped", converter::DropNoOps, {"a = Cast(x) {to=10}", "y = Relu(a)"}, "y = Relu(x)\n"},
    {"OutputsWithoutNamesAreNotUsed",
     [](Graph graph) {
       graph.nodes[0].outputs = graph.nodes[1].inputs = {""};
       return converter::DropNoOps(std::move(graph));
     },
     {"a = Identity(x)", "y = Relu(a)"},
     "y = Relu()\n"},
    {"DropoutIsDropped", converter::DropNoOps, {"a = Dropout(x, scale, no)", "y = Relu(a)"}, "y = Relu(x)\n"},
    {"DropoutOfTrainingStays", converter::DropNoOps, {"y = Dropout(x, scale, yes)"}, "y = Dropout(x, scale, yes)\n"},
    {"CastsToIntegersStay", converter::DropNoOps, {"y = Cast(x) {to=7}"}, "y = Cast(x) {to=7}\n"},
    {"DequantizeLinearOfATable",
     Dequantised,
     {"w = DequantizeLinear(Q, scale, zero)", "y = Gather(w, ids)"},
     "y = Gather(w/dequantised, ids)\n"},
    {"IntegersBehindTransposeAreRoundedAlready",
     Dequantised,
     {"w = DequantizeLinear(Q, scale, zero)", "t = Transpose(w)", "q = QuantizeLinear(t, scale, zero)",
      "d = DequantizeLinear(q, scale, zero)", "y = MatMul(x, d)"},
     "t = Transpose(w/dequantised)\ny = MatMul(x, t)\n"},
    {"DequantizeLinearInBlocks",
     Dequantised,
     {"w = DequantizeLinear(Q, scales) {axis=1, block_size=16}", "y = Gather(w, ids)"},
     "y = Gather(w/dequantised, ids)\n"},
    {"DequantizeLinearOfRows",
     Dequantised,
     {"rows = Gather(Q, ids)", "y = DequantizeLinear(rows, scale, zero)"},
     "y = Gather(y/dequantised, ids)\n"},
    {"RoundedHiddenStatesAreNotRounded",
     Dequantised,
     {"q = QuantizeLinear(x, scale, zero)", "d = DequantizeLinear(q, scale, zero)", "y = MatMul(d, Wt)"},
     "y = MatMul(x, Wt)\n"},
    {"MatMulIntegerWithItsScales",
     Dequantised,
     {"q, step, q0 = DynamicQuantizeLinear(x)", "factor = Mul(step, scale)", "i = MatMulInteger(q, Qt, q0, zero)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"},
     "y = MatMul(x, y/dequantised)\n"},
    {"HiddenStatesRoundedInTwoWaysStay",
     Dequantised,
     {"q = QuantizeLinear(x, scale, zero)", "d = DequantizeLinear(q, half, zero)", "y = MatMul(d, Wt)"},
     "q = QuantizeLinear(x, scale, zero)\nd = DequantizeLinear(q, half, zero)\ny = MatMul(d, Wt)\n"},
    {"NamesThatAreThereStay",
     Dequantised,
     {"y/dequantised = Relu(x)", "y/without_bias = Relu(y/dequantised)",
      "y = com.microsoft.DynamicQuantizeMatMul(y/without_bias, Qt, scale, zero, bias)"},
     "y/dequantised = Relu(x)\ny/without_bias = Relu(y/dequantised)\n"
     "y/without_bias_ = MatMul(y/without_bias, y/dequantised_)\ny = Add(y/without_bias_, bias)\n"},
    {"MatMulNBits",
     Dequantised,
     {"y = com.microsoft.MatMulNBits(x, Blocks, scales) {N=37, K=12, bits=8, block_size=16}"},
     "y = com.microsoft.FusedMatMul(x, y/dequantised) {transB=1}\n"},
    {"DynamicQuantizeMatMulWithABias",
     Dequantised,
     {"y = com.microsoft.DynamicQuantizeMatMul(x, Qt, scale, zero, bias)"},
     "y/without_bias = MatMul(x, y/dequantised)\ny = Add(y/without_bias, bias)\n"},
    {"GatherBlockQuantized",
     Dequantised,
     {"y = com.microsoft.GatherBlockQuantized(Q, ids, scales) {bits=8, block_size=16}"},
     "y = Gather(y/dequantised, ids)\n"},
    {"GatherBlockQuantizedOfAReshape",
     Dequantised,
     {"rows = Reshape(Blocks, rest)",
      "y = com.microsoft.GatherBlockQuantized(rows, ids, scales) {bits=8, block_size=16}"},
     "y = Gather(y/dequantised, ids)\n"},
    {"ViewsAreDropped",
     converter::DropViews,
     {"a = Reshape(x, flat)", "b = Unsqueeze(a, axis0)", "c = Squeeze(b, axis0)", "d = Flatten(c) {axis=1}",
      "y = Relu(d)"},
     "y = Relu(x)\n"},
    {"ViewsOfConstantsAreConstants",
     WithShapes<converter::FoldViews>,
     {"a = Unsqueeze(bias, axis0)", "b = Flatten(a) {axis=1}", "c = Reshape(x, flat)", "y = Add(c, b)"},
     "c = Reshape(x, flat)\ny = Add(c, b)\n"},
    {"GatherOfRows", converter::CanonicalGather, {"y = Gather(W, ids)"}, "y = tied.Gather(W, ids)\n"},
    {"GatherOfColumnsStays",
     converter::CanonicalGather,
     {"y = Gather(W, ids) {axis=1}"},
     "y = Gather(W, ids) {axis=1}\n"},
    {"MatMulOfATranspose",
     WithShapes<converter::CanonicalHead>,
     {"wt = Transpose(W)", "y = MatMul(x, wt)"},
     "wt = Transpose(W)\ny = tied.Head(x, W) {transposed=0}\n"},
    {"MatMulOfAStoredTranspose",
     WithShapes<converter::CanonicalHead>,
     {"y = MatMul(x, Wt)"},
     "y = tied.Head(x, Wt) {transposed=1}\n"},
    {"GemmWithTransB",
     WithShapes<converter::CanonicalHead>,
     {"y = Gemm(x, W) {transB=1}"},
     "y = tied.Head(x, W) {transposed=0}\n"},
    {"AConstantFactorIsTheScale",
     converter::FuseScale,
     {"g = tied.Gather(W, ids)", "y = Mul(g, scale)"},
     "g = tied.Gather(W, ids)\ny = tied.Gather(W, ids) {scale=3.5}\n"},
    {"AConstantVectorIsTheBias",
     [](Graph graph) {
       const converter::Shapes shapes = converter::InferShapes(graph);
       return converter::FuseBias(converter::CanonicalHead(std::move(graph), shapes), shapes);
     },
     {"h = MatMul(x, Wt)", "y = Add(h, bias)"},
     "h = tied.Head(x, Wt) {transposed=1}\ny = tied.Head(x, Wt, bias) {transposed=1}\n"},
    {"WhatNoResultNeedsIsDropped",
     converter::DropDeadCode,
     {"a = Relu(x)", "b = Relu(a)", "y = Tanh(x)"},
     "y = Tanh(x)\n"},
};

class Passes : public testing::TestWithParam<Rewrite> {};

// x: float [-1, kCols]; ids: int64 [-1]; the constants of MakeModel().
Graph ParseGraph(const Lines& lines) {
  onnx::GraphProto nodes;
  AddNodes(&nodes, lines);
  Graph graph;
  graph.name = "graph";
  graph.inputs = {{"x", converter::ElementType::kFloat32, {{-1, "n"}, {kCols, ""}}},
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
      parsed.attributes[attribute.name()].i = attribute.i();
    }
    graph.nodes.push_back(std::move(parsed));
  }
  return graph;
}

// The lines of ToText() that are nodes, without indentation.
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

TEST_P(Passes, Rewrite) {
  const Graph graph = GetParam().pass(ParseGraph(GetParam().before));
  EXPECT_EQ(NodesOf(graph), GetParam().after);
}

INSTANTIATE_TEST_SUITE_P(All, Passes, testing::ValuesIn(kRewrites),
                         [](const auto& rewrite) { return std::string(rewrite.param.name); });

struct Refused {
  const char* reason;
  Lines lines;
};

const Refused kRefusedQuantisations[] = {
    {"y_node' (DequantizeLinear): it has more than one scale",
     {"rows = Gather(Q, ids)", "y = DequantizeLinear(rows, scales)"}},
    {"y_node' (DequantizeLinear): weights that are rounded where",
     {"q = QuantizeLinear(W, scale, zero)", "y = DequantizeLinear(q, scale, zero)"}},
    {"y_node' (DequantizeLinear): weights that are rounded where",
     {"t = Transpose(W)", "q = QuantizeLinear(t, scale, zero)", "y = DequantizeLinear(q, scale, zero)"}},
    {"i_node' (MatMulInteger): its product is not scaled",
     {"q, step, q0 = DynamicQuantizeLinear(x)", "i = MatMulInteger(q, Qt, q0, zero)", "f = Cast(i) {to=1}",
      "y = Mul(f, scale)"}},
    {"i_node' (MatMulInteger): its zero point is not",
     {"q, step, q0 = DynamicQuantizeLinear(x)", "factor = Mul(step, scale)", "i = MatMulInteger(q, Qt)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"}},
    {"i_node' (MatMulInteger): its zero point is not",
     {"q = QuantizeLinear(x, half, zero)", "factor = Mul(half, scale)", "i = MatMulInteger(q, Qt, other_zero, zero)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"}},
    {"y_node' (Mul): 'column' has not one number for each column",
     {"q, step, q0 = DynamicQuantizeLinear(x)", "factor = Mul(step, column)", "i = MatMulInteger(q, Qt, q0, zero)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"}},
    {"y_node' (com.microsoft.MatMulIntegerToFloat): its zero point is not",
     {"q, step, q0 = DynamicQuantizeLinear(x)",
      "y = com.microsoft.MatMulIntegerToFloat(q, Qt, step, scale, zero, zero)"}},
    {"y_node' (com.microsoft.MatMulIntegerToFloat): its scale is not",
     {"q, step, q0 = DynamicQuantizeLinear(x)",
      "y = com.microsoft.MatMulIntegerToFloat(q, Qt, half, scale, q0, zero)"}},
    {"y_node' (DequantizeLinear): blocks are supported on the table itself alone",
     {"t = Transpose(Q)", "y = DequantizeLinear(t, scales) {axis=1, block_size=12}"}},
    {"its table is not of rows and columns",
     {"y = com.microsoft.GatherBlockQuantized(Blocks, ids, scales) {bits=8, block_size=16}"}},
    {"its table is not of rows and columns",
     {"rows = Reshape(Qt, rest)", "y = com.microsoft.GatherBlockQuantized(rows, ids, scales) {bits=8, block_size=16}"}},
    {"it does not gather rows",
     {"y = com.microsoft.GatherBlockQuantized(Q, ids, scales) {bits=8, block_size=16, gather_axis=1}"}},
    {"blocks of 15 are", {"y = com.microsoft.MatMulNBits(x, Blocks, scales) {N=37, K=12, bits=8, block_size=15}"}},
    {"a table of [0, 12]", {"y = com.microsoft.MatMulNBits(x, Blocks, scales) {N=0, K=12, bits=8, block_size=16}"}},
};

TEST(Quantisations, AreRefusedWithTheReason) {
  for (const auto& [reason, lines] : kRefusedQuantisations) {
    try {
      converter::Dequantise(ParseGraph(lines));
      ADD_FAILURE() << reason;
    } catch (const converter::ConvertError& error) {
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  }
}

TEST(Quantisations, OfAGatherWithoutInputsStay) {
  Graph graph = ParseGraph({"rows = Gather()", "y = DequantizeLinear(rows, scale)"});
  graph.constants[""] = graph.constants["Q"];
  EXPECT_EQ(NodesOf(converter::Dequantise(graph)), "rows = Gather()\ny = DequantizeLinear(rows, scale)\n");
}

TEST(Quantisations, LieInOnePlaceIfTheyMeanTheSame) {
  const Graph graph = ParseGraph({});
  converter::Quantisation quantisation;
  quantisation.scales = graph.constants.at("scales");
  quantisation.block = 16;
  const auto table = [&](const converter::Quantisation& of) {
    converter::TensorRef tensor = graph.constants.at("Q");
    tensor.quantisation = std::make_shared<const converter::Quantisation>(of);
    return tensor;
  };
  EXPECT_TRUE(table(quantisation).SamePlace(table(quantisation)));
  const std::function<void(converter::Quantisation&)> changes[] = {
      [](converter::Quantisation& other) { other.bits = 4; }, [](converter::Quantisation& other) { other.axis = 1; },
      [](converter::Quantisation& other) { other.block = 32; },
      [](converter::Quantisation& other) { other.row_bytes = 16; },
      [](converter::Quantisation& other) { other.default_zero_point = 128; }};
  for (const auto& change : changes) {
    converter::Quantisation other = quantisation;
    change(other);
    EXPECT_FALSE(table(quantisation).SamePlace(table(other))) << &change - changes;
  }
}

}  // namespace
}  // namespace tied::test
