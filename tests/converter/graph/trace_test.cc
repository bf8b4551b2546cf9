#include "converter/graph/trace.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "schema/limits.h"

namespace tied::test {
namespace {

// A chain of `count` nodes with names of `bytes` bytes.
std::string TraceChain(size_t count, size_t bytes) {
  converter::Graph graph;
  graph.inputs.resize(1);
  graph.inputs[0].name = "0";
  for (size_t i = 0; i < count; ++i) {
    converter::Node node;
    node.op = "Neg";
    node.name = std::string(bytes, 'n') + std::to_string(i);
    node.inputs = {std::to_string(i)};
    node.outputs = {std::to_string(i + 1)};
    graph.nodes.push_back(node);
  }
  return converter::TraceNodes(graph, std::to_string(count));
}

TEST(Trace, FitsIntoAHeader) {
  for (const auto& [count, bytes] :
       {std::pair<size_t, size_t>(3, 1), {256, 1}, {257, 1}, {5000, 1}, {9, 7300}, {3, 70000}}) {
    const std::string trace = TraceChain(count, bytes);
    const auto lines = static_cast<size_t>(std::count(trace.begin(), trace.end(), '\n')) + 1;
    EXPECT_LE(trace.size(), format::kMaxOriginBytes) << count << " of " << bytes;
    EXPECT_LE(lines, format::kMaxOriginLines) << count << " of " << bytes;
    const auto listed = static_cast<size_t>(std::count(trace.begin(), trace.end(), 'N'));
    EXPECT_EQ(trace.find("...") == 0, listed < count) << count << " of " << bytes;
  }
}

}  // namespace
}  // namespace tied::test
