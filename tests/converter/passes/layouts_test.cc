// Products and gathers with reordered dimensions, on graphs written as text.
#include <gtest/gtest.h>

#include "tests/converter/passes/rewrite.h"

namespace tied::test {
namespace {

using converter::Graph;

// Canonicalises heads and gathers, and removes unused nodes.
Graph Canonical(Graph graph) {
  const converter::Shapes shapes = converter::InferShapes(graph);
  return converter::Canonicalise(std::move(graph), shapes);
}

Graph Quantised(Graph graph) {
  graph = converter::Dequantise(std::move(graph));
  return Canonical(std::move(graph));
}

constexpr char kRight[] = "y = tied.Head(h, W) {transposed=0}\n";
constexpr char kStored[] = "y = tied.Head(h, Wt) {transposed=1}\n";

const Rewrite kRewrites[] = {
    {"TableOnTheLeft",
     Canonical,
     {"t = Transpose(h) {perm=[0, 2, 1]}", "p = MatMul(W, t)", "y = Transpose(p) {perm=[0, 2, 1]}"},
     "p/logits = tied.Head(h, W) {transposed=0}\n"},
    {"TableOnTheLeftFused",
     Canonical,
     {"p = com.microsoft.FusedMatMul(W, h) {transB=1}", "y = Transpose(p) {perm=[0, 2, 1]}"},
     "p/logits = tied.Head(h, W) {transposed=0}\n"},
    {"StoredTransposedOnTheLeft",
     Canonical,
     {"p = com.microsoft.FusedMatMul(Wt, h) {transA=1, transB=1}", "y = Transpose(p) {perm=[0, 2, 1]}"},
     "p/logits = tied.Head(h, Wt) {transposed=1}\n"},
    {"TableOnTheLeftStaysTransposed",
     Canonical,
     {"t = Transpose(x)", "y = MatMul(W, t)"},
     "y/logits = tied.Head(x, W) {transposed=0}\ny = Transpose(y/logits) {perm=[1, 0]}\n"},
    {"ABiasBeforeTheTranspose",
     Canonical,
     {"t = Transpose(h) {perm=[0, 2, 1]}", "p = MatMul(W, t)", "q = Add(p, column)",
      "y = Transpose(q) {perm=[0, 2, 1]}"},
     "y = tied.Head(h, W, y/constant) {transposed=0}\n"},
    {"OneTokenAsAColumn",
     Canonical,
     {"t = Transpose(h) {perm=[1, 2, 0]}", "y = MatMul(W, t)"},
     "y/logits = tied.Head(h, W) {transposed=0}\ny = Transpose(y/logits) {perm=[1, 2, 0]}\n"},
    {"FusedMatMulWithTransB", Canonical, {"y = com.microsoft.FusedMatMul(h, W) {transB=1}"}, kRight},
    {"FusedMatMulOfATranspose",
     Canonical,
     {"w = Transpose(Wt)", "y = com.microsoft.FusedMatMul(h, w) {transB=1}"},
     kStored},
    {"FusedMatMulWithTransA",
     Canonical,
     {"t = Transpose(h) {perm=[0, 2, 1]}", "y = com.microsoft.FusedMatMul(t, Wt) {transA=1}"},
     kStored},
    {"FusedMatMulWithTransBatchA",
     Canonical,
     {"t = Transpose(h) {perm=[1, 0, 2]}", "y = com.microsoft.FusedMatMul(t, Wt) {transBatchA=1}"},
     kStored},
    {"Einsum", Canonical, {"y = Einsum(h, W) {equation='abc,vc->abv'}"}, kRight},
    {"EinsumWithDots", Canonical, {"y = Einsum(h, W) {equation='...d, vd -> ...v'}"}, kRight},
    {"EinsumWithoutAResult", Canonical, {"y = Einsum(h, Wt) {equation='abc,cd'}"}, kStored},
    {"EinsumWithTheTableFirst", Canonical, {"y = Einsum(W, h) {equation='vc,abc->abv'}"}, kRight},
    {"EinsumOfTwoSumsStays",
     Canonical,
     {"y = Einsum(x, W) {equation='ac,vc->a'}"},
     "y = Einsum(x, W) {equation=ac,vc->a}\n"},
    {"EinsumOfARepeatedLetterStays",
     Canonical,
     {"y = Einsum(x, W) {equation='aa,va->v'}"},
     "y = Einsum(x, W) {equation=aa,va->v}\n"},
    {"AFactorOfLogits",
     Canonical,
     {"p = MatMul(h, Wt)", "y = Mul(p, scale)"},
     "y = tied.Head(h, Wt) {scale=3.5, transposed=1}\n"},
    {"AFactorOfHiddenStates",
     Canonical,
     {"s = Mul(scale, h)", "y = MatMul(s, Wt)"},
     "y = tied.Head(h, Wt) {scale=3.5, transposed=1}\n"},
    {"ADivisorOfBoth",
     Canonical,
     {"s = Div(h, two)", "p = MatMul(s, Wt)", "y = Div(p, two)"},
     "y = tied.Head(h, Wt) {scale=0.25, transposed=1}\n"},
    {"ADivisorOfEmbeddingsByAPowerOfTwo",
     Canonical,
     {"g = Gather(W, ids)", "y = Div(g, two)"},
     "y = tied.Gather(W, ids) {scale=0.5}\n"},
    {"ADivisorOfEmbeddingsStays",
     Canonical,
     {"g = Gather(W, ids)", "y = Div(g, scale)"},
     "g = tied.Gather(W, ids)\ny = Div(g, scale)\n"},
    {"AFactorBehindABiasMultipliesIt",
     Canonical,
     {"p = MatMul(h, Wt)", "q = Add(p, bias)", "y = Mul(q, scale)"},
     "y = tied.Head(h, Wt, y/bias) {scale=3.5, transposed=1}\n"},
    {"GatherOfATranspose",
     Canonical,
     {"w = Transpose(Wt)", "y = Gather(w, ids)"},
     "y = tied.Gather(Wt, ids) {transposed=1}\n"},
    {"GatherAlongAxis1",
     Canonical,
     {"c = Gather(Wt, ids) {axis=1}", "y = Transpose(c)"},
     "c/rows = tied.Gather(Wt, ids) {transposed=1}\n"},
    {"GatherAlongAxis1Scaled",
     Canonical,
     {"c = Gather(Wt, ids) {axis=-1}", "m = Mul(c, scale)", "y = Transpose(m)"},
     "y = tied.Gather(Wt, ids) {scale=3.5, transposed=1}\n"},
    {"IdsOfAnotherInteger", Canonical, {"i = Cast(ids) {to=6}", "y = Gather(W, i)"}, "y = tied.Gather(W, ids)\n"},
    {"ZerosOfAShape", Canonical, {"s = Shape(ids)", "y = Expand(half, s)"}, "y = tied.Fill() {value=tensor[]}\n"},
    {"ZerosOfAShapeMoved",
     Canonical,
     {"s = Shape(h)", "z = ConstantOfShape(s)", "u = Unsqueeze(z, axis0)", "y = Transpose(u) {perm=[1, 0, 2, 3]}"},
     "y = tied.Fill() {value=tensor[]}\n"},
    {"DifferentNumbersAreNotFilled",
     Canonical,
     {"s = Shape(h)", "y = Expand(scales, s)"},
     "s = Shape(h)\ny = Expand(scales, s)\n"},
    {"IntegersOnTheLeft",
     Quantised,
     {"t = Transpose(h) {perm=[0, 2, 1]}", "q, step, q0 = DynamicQuantizeLinear(t)",
      "i = MatMulInteger(Q, q, zero, q0)", "f = Cast(i) {to=1}", "s = Mul(scale, step)", "m = Mul(s, f)",
      "y = Transpose(m) {perm=[0, 2, 1]}"},
     "i/logits = tied.Head(h, i/dequantised) {transposed=0}\n"},
    {"IntegersBehindATranspose",
     Quantised,
     {"q, step, q0 = DynamicQuantizeLinear(h)", "t = Transpose(Q)", "i = MatMulInteger(q, t, q0, zero)",
      "f = Cast(i) {to=1}", "s = Mul(step, scale)", "y = Mul(f, s)"},
     "i = tied.Head(h, i/dequantised) {transposed=0}\n"},
    {"RoundedBeforeItIsTransposed",
     Quantised,
     {"q, step, q0 = DynamicQuantizeLinear(h)", "t = Transpose(q) {perm=[0, 2, 1]}",
      "i = MatMulInteger(Q, t, zero, q0)", "p = Transpose(i) {perm=[0, 2, 1]}", "f = Cast(p) {to=1}",
      "a = Mul(f, step)", "y = Mul(a, scale)"},
     "i/logits = tied.Head(h, i/dequantised) {transposed=0}\n"},
    {"MatMulIntegerToFloatOnTheLeft",
     Quantised,
     {"q, step, q0 = DynamicQuantizeLinear(h)", "t = Transpose(q) {perm=[0, 2, 1]}",
      "p = com.microsoft.MatMulIntegerToFloat(Q, t, scale, step, zero, q0)", "y = Transpose(p) {perm=[0, 2, 1]}"},
     "p/logits = tied.Head(h, p/dequantised) {transposed=0}\n"},
    {"QLinearMatMul",
     Quantised,
     {"q = QuantizeLinear(h, scale, zero)", "p = QLinearMatMul(q, scale, zero, Qt, half, zero, two, zero)",
      "y = DequantizeLinear(p, two, zero)"},
     "p = tied.Head(h, p/dequantised) {transposed=1}\n"},
    {"IntegersGatheredAlongAxis1",
     Quantised,
     {"c = Gather(Qt, ids) {axis=1}", "t = Transpose(c)", "y = DequantizeLinear(t, scale, zero)"},
     "y/moved/rows = tied.Gather(y/dequantised, ids) {transposed=1}\n"},
    {"ABiasOfIntegers",
     Quantised,
     {"b = DequantizeLinear(integers, scale)", "p = MatMul(h, Wt)", "y = Add(p, b)"},
     "y = tied.Head(h, Wt, b/dequantised) {transposed=1}\n"},
};

class Layouts : public testing::TestWithParam<Rewrite> {};

TEST_P(Layouts, BecomeOne) {
  const Graph graph = GetParam().pass(ParseGraph(GetParam().before));
  EXPECT_EQ(NodesOf(graph), GetParam().after);
}

INSTANTIATE_TEST_SUITE_P(All, Layouts, testing::ValuesIn(kRewrites),
                         [](const auto& rewrite) { return std::string(rewrite.param.name); });

}  // namespace
}  // namespace tied::test
