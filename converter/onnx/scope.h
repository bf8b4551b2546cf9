// Names in an ONNX graph, and functions to cut parts out of it.
#ifndef TIED_CONVERTER_ONNX_SCOPE_H_
#define TIED_CONVERTER_ONNX_SCOPE_H_

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tied::converter {

// DescribeNode() in graph.h.
std::string Describe(const onnx::NodeProto& node);

// Resolves names in a graph: first its values, then the values of enclosing graphs. Both arguments must outlive it.
class Scope {
 public:
  Scope(const onnx::GraphProto& graph, const Scope* outer);

  const onnx::TensorProto* Initializer(const std::string& name) const;
  // An initializer, or the tensor of a Constant node.
  const onnx::TensorProto* Constant(const std::string& name) const;
  const onnx::NodeProto* Producer(const std::string& name) const;
  bool IsInput(const std::string& name) const;
  // True for values that are computed only from constants.
  bool IsConstant(const std::string& name) const;
  // Nodes in topological order, those of enclosing graphs first.
  std::vector<const onnx::NodeProto*> InOrder(const std::set<const onnx::NodeProto*>& nodes) const;

 private:
  const Scope* outer_;
  std::map<const onnx::NodeProto*, int> places_;  // index of each node in the graph
  std::map<std::string, const onnx::TensorProto*> initializers_;
  std::set<std::string> inputs_;
  std::map<std::string, const onnx::NodeProto*> producers_;
  std::set<std::string> constants_;  // computed by nodes
};

// Counts the uses of the values of a graph: by its nodes, as its outputs, and in its subgraphs.
class Uses {
 public:
  // The graph must outlive it.
  explicit Uses(const onnx::GraphProto& graph);

  // The node of the graph that has the value as an input, if that is its only use; null otherwise.
  const onnx::NodeProto* OnlyUser(const std::string& value) const;

 private:
  struct Use {
    int count = 0;
    const onnx::NodeProto* node = nullptr;
  };
  std::map<std::string, Use> uses_;
};

// Collects the names that a graph's nodes and outputs use, including its subgraphs.
void CollectUses(const onnx::GraphProto& graph, std::set<std::string>* uses);

// Sorts the nodes of the graph and its subgraphs topologically: float16 tools append nodes out of order. Sorted nodes
// keep their order; a cycle stays unsorted.
void SortNodes(onnx::GraphProto* graph);

template <class Element, class Unused>
void RemoveIf(google::protobuf::RepeatedPtrField<Element>* elements, const Unused& unused) {
  elements->erase(std::remove_if(elements->begin(), elements->end(), unused), elements->end());
}

// Removes unused nodes and initializers, also in subgraphs. The nodes must be sorted.
void RemoveUnused(onnx::GraphProto* graph);

// Renames a value everywhere, also in subgraphs.
void RenameValue(onnx::GraphProto* graph, const std::string& from, const std::string& to);

// A value and the part of the graph that computes it.
struct Slice {
  std::string value;
  std::string from;  // the slice starts at this value; "" for none
  int steps;         // and goes back at most this many nodes, except for constants
};

// The slice as a graph whose output is its value, with the type of `output`. `from` becomes the input `input`; other
// values from outside the slice become inputs of floating-point numbers.
onnx::GraphProto CutOut(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
                        const onnx::ValueInfoProto& output);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_SCOPE_H_
