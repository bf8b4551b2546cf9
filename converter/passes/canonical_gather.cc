#include "converter/passes/passes.h"

namespace tied::converter {

Graph CanonicalGather(Graph graph) {
  for (Node& node : graph.nodes) {
    if (node.op != "Gather" || node.inputs.size() != 2 || node.Int("axis", 0) != 0) continue;
    const TensorRef* table = graph.FindConstant(node.Input(0));
    if (table == nullptr || table->dims.size() != 2) continue;
    if (!IsFloat(table->type) && table->quantisation == nullptr) continue;
    node.op = "tied.Gather";
    node.attributes.clear();
  }
  return graph;
}

}  // namespace tied::converter
