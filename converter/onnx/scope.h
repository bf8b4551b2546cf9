// Names in an ONNX graph, and pieces cut out of it.
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

// What the names in a graph stand for: its own values, then those of the graphs around it. Both must outlive it.
class Scope {
 public:
  Scope(const onnx::GraphProto& graph, const Scope* outer);

  const onnx::TensorProto* Initializer(const std::string& name) const;
  // An initializer, or the tensor of a Constant node.
  const onnx::TensorProto* Constant(const std::string& name) const;
  const onnx::NodeProto* Producer(const std::string& name) const;
  bool IsInput(const std::string& name) const;
  // True for what is computed from constants alone.
  bool IsConstant(const std::string& name) const;
  // Those of the graphs around first.
  std::vector<const onnx::NodeProto*> InOrder(const std::set<const onnx::NodeProto*>& nodes) const;

 private:
  const Scope* outer_;
  std::map<const onnx::NodeProto*, int> places_;  // of the nodes in the graph
  std::map<std::string, const onnx::TensorProto*> initializers_;
  std::set<std::string> inputs_;
  std::map<std::string, const onnx::NodeProto*> producers_;
  std::set<std::string> constants_;  // that nodes make
};

// How often the values of a graph are used: by its nodes, as its outputs, and in its subgraphs.
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

// The names that a graph's nodes and outputs use, those in its subgraphs included.
void CollectUses(const onnx::GraphProto& graph, std::set<std::string>* uses);

// Nodes in an order in which each follows those that it uses, here and in subgraphs: float16 tools append nodes that
// belong elsewhere. What is in order stays as it is; a cycle stays out of order.
void SortNodes(onnx::GraphProto* graph);

template <class Element, class Unused>
void RemoveIf(google::protobuf::RepeatedPtrField<Element>* elements, const Unused& unused) {
  elements->erase(std::remove_if(elements->begin(), elements->end(), unused), elements->end());
}

// Removes nodes and initializers that nothing uses, in subgraphs too. The nodes are in order.
void RemoveUnused(onnx::GraphProto* graph);

// Gives a value another name wherever it is named, in subgraphs too.
void RenameValue(onnx::GraphProto* graph, const std::string& from, const std::string& to);

// A value and what it is made from.
struct Slice {
  std::string value;
  std::string from;  // nothing before this value belongs to it; "" for none
  int steps;         // nor what lies further back than so many nodes, unless it is constant
};

// The slice as a graph with one output, its value, of the type of `output`. `from` is renamed to `input.name()` and
// declared so; what else is not in the slice becomes an input of floating-point numbers.
onnx::GraphProto CutOut(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
                        const onnx::ValueInfoProto& output);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_SCOPE_H_
