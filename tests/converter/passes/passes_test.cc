// Tests each pass on graphs written as text.
#include "converter/passes/passes.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/converter/passes/rewrite.h"

namespace tied::test {
namespace {

using converter::Graph;

Graph Dequantised(Graph graph) {
  return converter::DropDeadCode(converter::DropNoOps(converter::Dequantise(std::move(graph))));
}

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
     "d = Transpose(d/dequantised)\ny = MatMul(x, d)\n"},
    {"TablesAreRoundedAgain",
     Dequantised,
     {"w = DequantizeLinear(Q, scale, zero)", "q = QuantizeLinear(w, half, zero)",
      "d = DequantizeLinear(q, half, zero)", "y = Gather(d, ids)"},
     "y = Gather(d/dequantised, ids)\n"},
    {"NumbersAreRounded",
     Dequantised,
     {"q = QuantizeLinear(two, half, zero)", "s = DequantizeLinear(q, half, zero)", "y = Mul(x, s)"},
     "y = Mul(x, s/dequantised)\n"},
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
     "i = MatMul(x, i/dequantised)\n"},
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
    {"GatherOfRows", WithShapes<converter::CanonicalGather>, {"y = Gather(W, ids)"}, "y = tied.Gather(W, ids)\n"},
    {"GatherOfColumns",
     WithShapes<converter::CanonicalGather>,
     {"c = Gather(Wt, ids) {axis=1}", "y = Transpose(c)"},
     "c/rows = tied.Gather(Wt, ids) {transposed=1}\nc = Transpose(c/rows) {perm=[1, 0]}\ny = Identity(c/rows)\n"},
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
    {"AFactorOfTheProductIsTheScaleOfTheHead",
     converter::FuseScale,
     {"h = tied.Head(x, W)", "y = Mul(scale, h)"},
     "h = tied.Head(x, W)\ny = tied.Head(x, W) {scale=3.5}\n"},
    {"AFactorOfAHeadMultipliesItsBias",
     converter::FuseScale,
     {"h = tied.Head(x, W, bias)", "y = Mul(h, scale)"},
     "h = tied.Head(x, W, bias)\ny = tied.Head(x, W, y/bias) {scale=3.5}\n"},
    {"ATanhBetweenAQuotientAndAProductIsASoftCap",
     converter::CanonicalSoftCap,
     {"d = Div(x, scale)", "t = Tanh(d)", "y = Mul(t, scale)"},
     "d = Div(x, scale)\nt = Tanh(d)\ny = tied.SoftCap(x) {cap=3.5}\n"},
    {"ATanhTimesANumberCapsSoManyTimesItsOperand",
     converter::CanonicalSoftCap,
     {"d = Div(x, half)", "t = Tanh(d)", "y = Mul(t, scale)"},
     "d = Div(x, half)\nt = Tanh(d)\ny/capped = Mul(d, y/cap)\ny = tied.SoftCap(y/capped) {cap=3.5}\n"},
    {"ASoftCapOfAHeadIsItsOwn",
     [](Graph graph) { return converter::FuseSoftCap(converter::CanonicalSoftCap(std::move(graph))); },
     {"h = tied.Head(x, W)", "d = Div(h, scale)", "t = Tanh(d)", "y = Mul(t, scale)"},
     "h = tied.Head(x, W)\nd = Div(h, scale)\nt = Tanh(d)\ny = tied.Head(x, W) {soft_cap=3.5}\n"},
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
    {"y_node' (DequantizeLinear): weights that are rounded at run time",
     {"q = QuantizeLinear(W, scale, zero)", "y = DequantizeLinear(q, scale, zero)"}},
    {"y_node' (DequantizeLinear): weights that are rounded at run time",
     {"t = Transpose(W)", "q = QuantizeLinear(t, scale, zero)", "y = DequantizeLinear(q, scale, zero)"}},
    {"q_node' (QuantizeLinear): rounds all numbers of the table to the same one",
     {"w = DequantizeLinear(Q, scale, zero)", "q = QuantizeLinear(w, huge, zero)",
      "y = DequantizeLinear(q, huge, zero)"}},
    {"q_node' (QuantizeLinear): rounds to steps of 1e+12",
     {"q = QuantizeLinear(x, huge, zero)", "y = DequantizeLinear(q, huge, zero)"}},
    {"q_node' (QuantizeLinear): rounds to steps of 1e-12",
     {"q = QuantizeLinear(x, tiny, zero)", "y = DequantizeLinear(q, tiny, zero)"}},
    {"y_node' (QLinearMatMul): rounds to steps of 1e-12",
     {"q = QuantizeLinear(x, half, zero)", "y = QLinearMatMul(q, half, zero, Qt, scale, zero, tiny, zero)"}},
    {"bitsandbytes", {"y = com.microsoft.MatMulBnb4(x, Blocks, scales)"}},
    {"i_node' (MatMulInteger): its product is not scaled",
     {"q, step, q0 = DynamicQuantizeLinear(x)", "i = MatMulInteger(q, Qt, q0, zero)", "f = Cast(i) {to=1}",
      "y = Mul(f, scale)"}},
    {"i_node' (MatMulInteger): its zero point differs",
     {"q, step, q0 = DynamicQuantizeLinear(x)", "factor = Mul(step, scale)", "i = MatMulInteger(q, Qt)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"}},
    {"i_node' (MatMulInteger): its zero point differs",
     {"q = QuantizeLinear(x, half, zero)", "factor = Mul(half, scale)", "i = MatMulInteger(q, Qt, other_zero, zero)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"}},
    {"y_node' (Mul): 'column' does not have one number for each column",
     {"q, step, q0 = DynamicQuantizeLinear(x)", "factor = Mul(step, column)", "i = MatMulInteger(q, Qt, q0, zero)",
      "f = Cast(i) {to=1}", "y = Mul(f, factor)"}},
    {"y_node' (com.microsoft.MatMulIntegerToFloat): its zero point differs",
     {"q, step, q0 = DynamicQuantizeLinear(x)",
      "y = com.microsoft.MatMulIntegerToFloat(q, Qt, step, scale, zero, zero)"}},
    {"y_node' (com.microsoft.MatMulIntegerToFloat): its scale differs",
     {"q, step, q0 = DynamicQuantizeLinear(x)",
      "y = com.microsoft.MatMulIntegerToFloat(q, Qt, half, scale, q0, zero)"}},
    {"y_node' (DequantizeLinear): blocks are supported only directly on the table",
     {"t = Transpose(Q)", "y = DequantizeLinear(t, scales) {axis=1, block_size=12}"}},
    {"its table is not a matrix of rows and columns",
     {"y = com.microsoft.GatherBlockQuantized(Blocks, ids, scales) {bits=8, block_size=16}"}},
    {"its table is not a matrix of rows and columns",
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
