// Visits the nodes of a graph and changes them.
#ifndef TIED_CONVERTER_PASSES_NODE_EDITOR_H_
#define TIED_CONVERTER_PASSES_NODE_EDITOR_H_

#include <string>
#include <utility>

#include "converter/graph/graph.h"

namespace tied::converter {

class NodeEditor {
 public:
  explicit NodeEditor(Graph* graph) : graph_(graph) {}

  // Calls visit(node) with a copy of each node that has an output.
  template <class Visit>
  void ForEachNode(const Visit& visit) {
    for (index_ = 0; index_ < graph_->nodes.size(); ++index_) {
      const Node node = graph_->nodes[index_];
      if (!node.outputs.empty()) visit(node);
    }
  }

  Node& current() { return graph_->nodes[index_]; }

  // Replaces the visited node by `by`, which gets its name and its first output.
  void Replace(Node by) {
    Node& node = current();
    by.name = node.name;
    by.stands_for = node.stands_for.empty() ? node.op : node.stands_for;
    by.outputs = {node.outputs[0]};
    node = std::move(by);
  }

  void ReplaceByValue(const std::string& value) { Replace({"Identity", "", {value}, {}, {}}); }

  // Replaces it by a product and, unless it is "", the sum with a bias.
  void ReplaceByProduct(Node product, const std::string& bias) {
    if (bias.empty()) return Replace(std::move(product));
    product.outputs = {graph_->FreshName(current().outputs[0] + "/without_bias")};
    product.name = current().name;
    const std::string sum = product.outputs[0];
    Insert(std::move(product));
    Replace({"Add", "", {sum, bias}, {}, {}});
  }

  // Inserts a node before the visited node.
  void Insert(Node node) {
    node.stands_for = current().stands_for.empty() ? current().op : current().stands_for;
    graph_->nodes.insert(graph_->nodes.begin() + static_cast<std::ptrdiff_t>(index_), std::move(node));
    ++index_;
  }

 private:
  Graph* graph_;
  size_t index_ = 0;  // of the visited node
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_NODE_EDITOR_H_
