// A small graph: what the passes work on.
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
  std::string s;  // of Einsum
  std::optional<TensorRef> tensor;
  std::shared_ptr<const Graph> graph;
};

// "node '/lm_head/MatMul' (MatMul)"; a node without a name is called by its first output.
std::string DescribeNode(const std::string& name, const std::string& first_output, const std::string& op);

struct Node {
  std::string op;  // "Gather"; other domains than ONNX's own: "com.microsoft.FusedMatMul"
  std::string name;
  std::vector<std::string> inputs;  // "" for one that is left out
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;
  std::string stands_for = {};  // the model's operation, where a pass has made one of its own of it

  // Input `i`, "" if it is left out.
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
  std::vector<std::string> results;  // the value that each output is; its own name until a pass finds the source of it
  std::map<std::string, TensorRef> constants;
  std::vector<Node> nodes;

  const TensorRef* FindConstant(const std::string& name) const;
  const ValueInfo* FindInput(const std::string& name) const;
  // The node that makes a value; null for inputs and constants.
  const Node* FindProducer(const std::string& value) const;

  // `name`, or something longer where the graph has a value of that name.
  std::string FreshName(std::string name) const;

  // Every use of a value becomes one of another, as an input of a node or as a result.
  void ReplaceUses(const std::string& value, const std::string& by);
};

// The files that hold its tensors, and those of the graphs inside.
std::set<std::string> FilesOf(const Graph& graph);

// The graph with the nodes and constants that its results need, directly or in the graphs inside.
Graph WithoutUnused(const Graph& graph);

// One line for inputs, constants, each node and outputs: "embed = Gather(weight, ids) {axis=0}".
std::string ToText(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_GRAPH_H_
