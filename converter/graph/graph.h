// The graph that passes transform.
#ifndef TIED_CONVERTER_GRAPH_GRAPH_H_
#define TIED_CONVERTER_GRAPH_GRAPH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "converter/graph/tensor_ref.h"

namespace tied::converter {

struct Graph;

struct Attribute {
  std::optional<int64_t> i;
  std::optional<float> f;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::string s;  // for Einsum
  std::optional<TensorRef> tensor;
  std::shared_ptr<const Graph> graph;
};

// "node '/lm_head/MatMul' (MatMul)". A node without a name is named after its first output.
std::string DescribeNode(const std::string& name, const std::string& first_output, const std::string& op);

struct Node {
  std::string op;  // "Gather"; with the domain if it is not ONNX's: "com.microsoft.FusedMatMul"
  std::string name;
  std::vector<std::string> inputs;  // "" for an omitted input
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;
  std::string stands_for = {};  // the model's operation, if a pass has replaced it

  // Input `i`, or "" if it is omitted.
  const std::string& Input(size_t i) const;
  int64_t Int(const std::string& attribute, int64_t otherwise) const;
  float Float(const std::string& attribute, float otherwise) const;

  std::string Describe() const;  // DescribeNode()
};

struct ValueInfo {
  std::string name;
  ElementType type = ElementType::kOther;
  struct Dim {
    int64_t size = -1;  // -1: free
    std::string symbol;
  };
  std::vector<Dim> dims;
};

struct Graph {
  std::string name;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<std::string> results;  // the value of each output; its name until a pass finds the source
  std::map<std::string, TensorRef> constants;
  std::vector<Node> nodes;

  const TensorRef* FindConstant(const std::string& name) const;
  const ValueInfo* FindInput(const std::string& name) const;
  // The node that produces a value; null for inputs and constants.
  const Node* FindProducer(const std::string& value) const;

  // `name`, or a longer name if the graph has a value of that name.
  std::string FreshName(std::string name) const;

  // Replaces every use of a value, as an input of a node or as a result.
  void ReplaceUses(const std::string& value, const std::string& by);
};

// The files that hold the tensors of the graph and its subgraphs.
std::set<std::string> FilesOf(const Graph& graph);

// The graph with only the nodes and constants that its results need, directly or in subgraphs.
Graph WithoutUnused(const Graph& graph);

// One line each for inputs, constants, every node, and outputs: "embed = Gather(weight, ids) {axis=0}".
std::string ToText(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_GRAPH_H_
