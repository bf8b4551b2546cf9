// The facts in the table of operations match the results of the reference evaluation.
#include "converter/graph/operations.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "converter/check/evaluator.h"

namespace tied::test {
namespace {

using converter::Array;
using converter::FactsOf;
using Rank = converter::OperationFacts::Rank;
using Type = converter::OperationFacts::Type;

struct Example {
  const char* op;
  std::vector<Array> inputs;
  std::map<std::string, converter::Attribute> attributes = {};
};
std::ostream& operator<<(std::ostream& out, const Example& example) { return out << example.op; }

Array Floats(const std::vector<int64_t>& dims, std::vector<double> values) {
  return Array::OfDoubles(dims, std::move(values));
}

converter::Attribute Number(int64_t number) {
  converter::Attribute attribute;
  attribute.i = number;
  return attribute;
}

class Operations : public testing::TestWithParam<Example> {
 protected:
  static Array Evaluate() {
    converter::Graph graph;
    converter::Node node{GetParam().op, "", {}, {"out"}, GetParam().attributes};
    std::map<std::string, Array> inputs;
    for (size_t i = 0; i < GetParam().inputs.size(); ++i) {
      node.inputs.push_back("in" + std::to_string(i));
      inputs[node.inputs.back()] = GetParam().inputs[i];
    }
    graph.nodes = {node};
    graph.outputs = {{"out", converter::ElementType::kFloat32, {}}};
    graph.results = {"out"};
    return converter::Evaluate(graph, inputs, converter::Arithmetic::kValues, {}).at("out");
  }

  static size_t ExpectedRank() {
    size_t largest = 0;
    for (const Array& input : GetParam().inputs) largest = std::max(largest, input.dims.size());
    switch (FactsOf(GetParam().op).rank) {
      case Rank::kFirst:
      case Rank::kReduction:
        return GetParam().inputs[0].dims.size();
      case Rank::kBroadcast:
      case Rank::kProduct:
        return largest;
      case Rank::kOne:
        return 1;
      case Rank::kTwo:
        return 2;
      default:
        return 99;
    }
  }
};

TEST_P(Operations, MakeTheRankAndTheKindOfNumbersThatTheTableSays) {
  const Array out = Evaluate();
  if (FactsOf(GetParam().op).rank != Rank::kOther) {
    EXPECT_EQ(out.dims.size(), ExpectedRank());
  }
  const Type type = FactsOf(GetParam().op).type;
  if (type == Type::kInt64) {
    EXPECT_TRUE(out.integers);
  }
  if (type == Type::kFirst) {
    EXPECT_EQ(out.integers, GetParam().inputs[0].integers);
  }
  EXPECT_TRUE(FactsOf(GetParam().op).known());
}

TEST_P(Operations, PassNumbersIfTheTableSaysSo) {
  const Array& in = GetParam().inputs[0];
  const Array out = Evaluate();
  bool same = out.size() == in.size() && out.integers == in.integers;
  for (int64_t i = 0; same && i < in.size(); ++i) same = out.Float(i) == in.Float(i);
  EXPECT_EQ(same, FactsOf(GetParam().op).passes_numbers());
}

const Array kMatrix = Floats({2, 3}, {1, 2, 3, 4, 5, 7});
const Array kAxis = Array::OfInts({1}, {0});
const Example kExamples[] = {
    {"Add", {kMatrix, Floats({1, 1, 3}, {1, 2, 3})}},
    {"ArgMax", {kMatrix}, {{"axis", Number(-1)}}},
    {"Cast", {kMatrix}, {{"to", Number(1)}}},
    {"Concat", {Array::OfInts({2}, {1, 2}), Array::OfInts({2}, {3, 4})}, {{"axis", Number(0)}}},
    {"Flatten", {Floats({1, 2, 2}, {1, 2, 3, 4})}},
    {"Gather", {kMatrix, Array::OfInts({1, 1, 2}, {0, 0})}},
    {"Gemm", {kMatrix, Floats({3, 2}, {1, 0, 0, 1, 1, 1})}},
    {"Identity", {kMatrix}},
    {"LogSoftmax", {kMatrix}, {{"axis", Number(-1)}}},
    {"MatMul", {Floats({1, 2, 3}, {1, 2, 3, 4, 5, 6}), Floats({3, 1}, {1, 1, 1})}},
    {"Mul", {Floats({}, {2}), kMatrix}},
    {"Reshape", {kMatrix, Array::OfInts({3}, {3, 1, 2})}},
    {"Shape", {kMatrix}},
    {"Squeeze", {Floats({1, 3}, {1, 2, 3}), kAxis}},
    {"Transpose", {kMatrix}},
    {"Unsqueeze", {kMatrix, kAxis}},
    {"com.microsoft.FusedMatMul", {kMatrix, Floats({3, 1}, {1, 1, 1})}},
};
INSTANTIATE_TEST_SUITE_P(All, Operations, testing::ValuesIn(kExamples), [](const auto& example) {
  std::string name = example.param.op;
  name.erase(std::remove(name.begin(), name.end(), '.'), name.end());
  return name;
});

TEST(OperationTable, KnowsNothingOfOtherDomains) {
  EXPECT_FALSE(FactsOf("vendor.Identity").passes_numbers());
  for (const char* op : {"vendor.Identity", "Aaa", "Zzz", ""}) EXPECT_FALSE(FactsOf(op).known()) << op;
  for (const char* op : {"Abs", "If", "MatMul", "Where"}) EXPECT_STREQ(FactsOf(op).name, op);
}

}  // namespace
}  // namespace tied::test
