#include "converter/graph/trace.h"

#include <set>

namespace tied::converter {

std::string TraceNodes(const Graph& graph, const std::string& value) {
  std::set<std::string> from_inputs;
  for (const ValueInfo& input : graph.inputs) from_inputs.insert(input.name);
  std::set<const Node*> computed;  // from inputs, not only from constants
  for (const Node& node : graph.nodes) {
    for (const std::string& input : node.inputs) {
      if (from_inputs.count(input) == 0) continue;
      computed.insert(&node);
      from_inputs.insert(node.outputs.begin(), node.outputs.end());
    }
  }
  std::set<std::string> needed = {value};
  std::vector<std::string> lines;  // the last one first
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    bool used = false;
    for (const std::string& output : node->outputs) used = used || needed.count(output) > 0;
    if (!used) continue;
    needed.insert(node->inputs.begin(), node->inputs.end());
    if (computed.count(&*node) == 0 || node->op == "Identity") continue;
    lines.push_back(node->name.empty() ? node->op : node->op + " " + node->name);
  }
  std::string trace;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) trace += (trace.empty() ? "" : "\n") + *line;
  return trace;
}

}  // namespace tied::converter
