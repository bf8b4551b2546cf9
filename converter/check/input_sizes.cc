#include "converter/check/input_sizes.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "converter/graph/shapes.h"
#include "converter/passes/flatten.h"
#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

constexpr size_t kMaxTries = 512;
constexpr size_t kMaxCandidates = 8;
constexpr int64_t kMaxSize = 4096;
constexpr uint64_t kMaxElements = 16;  // in a shape

// Collects sizes that occur in shapes of the graph.
void CollectSizes(const Graph& graph, std::set<int64_t>* sizes) {
  for (const auto& [name, tensor] : graph.constants) {
    if (tensor.type != ElementType::kInt64 || tensor.elements() > kMaxElements) continue;
    for (const int64_t size : tensor.ReadInts()) {
      if (size > 0 && size <= kMaxSize) sizes->insert(size);
    }
  }
}

// True if each Reshape between known shapes keeps the number of elements.
bool Fits(Graph graph, const std::vector<ValueInfo>& inputs) {
  graph.inputs = inputs;
  const Shapes shapes = InferShapes(graph);
  const auto count = [&](const std::string& value) {
    const SymbolicShape* dims = shapes.Find(value);
    return dims == nullptr ? SymbolicInt{} : Multiplied(dims->begin(), dims->end());
  };
  return std::all_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    if (node.op != "Reshape" || shapes.contents.count(node.Input(1)) == 0) return true;
    const SymbolicInt elements = count(node.Input(0));
    return elements.kind != SymbolicInt::Kind::kConstant || elements == count(node.outputs[0]);
  });
}

// Sizes of free dimensions by name. A dimension without a name gets a unique one.
using FreeDims = std::map<std::string, int64_t>;

std::string NameOf(const ValueInfo& input, size_t dim) {
  const std::string& symbol = input.dims[dim].symbol;
  return symbol.empty() ? input.name + "/" + std::to_string(dim) : "=" + symbol;
}

std::vector<ValueInfo> WithSizes(std::vector<ValueInfo> inputs, const FreeDims& sizes) {
  for (ValueInfo& input : inputs) {
    for (size_t i = 0; i < input.dims.size(); ++i) {
      if (input.dims[i].size < 0) input.dims[i].size = sizes.at(NameOf(input, i));
    }
  }
  return inputs;
}

}  // namespace

std::vector<ValueInfo> ChooseInputSizes(const Graph& graph) {
  FreeDims usual;
  for (const ValueInfo& input : graph.inputs) {
    for (size_t i = 0; i < input.dims.size(); ++i) {
      if (input.dims[i].size < 0) usual.emplace(NameOf(input, i), i == 0 ? 2 : 3);
    }
  }
  std::vector<Graph> paths;
  std::set<int64_t> known = {1};
  for (const FlatGraph& path : FlattenIfs(graph)) {
    paths.push_back(FoldConstants(path.graph));
    CollectSizes(paths.back(), &known);
  }
  std::vector<int64_t> candidates(known.begin(), known.end());
  if (candidates.size() > kMaxCandidates) candidates.resize(kMaxCandidates);
  // Counts through all combinations: each free dimension is a digit, and 0 means its usual size.
  for (size_t number = 0; number < kMaxTries; ++number) {
    FreeDims sizes = usual;
    size_t rest = number;
    for (auto& [name, size] : sizes) {
      const size_t digit = rest % (candidates.size() + 1);
      rest /= candidates.size() + 1;
      if (digit > 0) size = candidates[digit - 1];
    }
    if (rest > 0) break;
    const std::vector<ValueInfo> inputs = WithSizes(graph.inputs, sizes);
    if (std::all_of(paths.begin(), paths.end(), [&](const Graph& path) { return Fits(path, inputs); })) return inputs;
  }
  return WithSizes(graph.inputs, usual);
}

}  // namespace tied::converter
