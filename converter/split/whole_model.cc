#include "converter/split/whole_model.h"

#include <algorithm>
#include <set>
#include <string>

namespace tied::converter {

namespace {

using Names = std::set<std::string>;

// Products, which a tied pair never applies to its embedding.
bool IsProduct(const std::string& op) {
  static const Names kProducts = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"};
  static const Names kContribProducts = {"Attention",           "DynamicQuantizeMatMul", "FusedMatMul",
                                         "GroupQueryAttention", "MatMulIntegerToFloat",  "MatMulNBits",
                                         "MultiHeadAttention"};
  const std::string domain = "com.microsoft.";
  return kProducts.count(op) > 0 || (op.rfind(domain, 0) == 0 && kContribProducts.count(op.substr(domain.size())) > 0);
}

// constants, rows: values of enclosing graphs that are constant, and that are computed from rows of a table.
bool HasLayers(const Graph& graph, Names constants, Names rows) {
  for (const auto& [name, tensor] : graph.constants) constants.insert(name);
  constants.insert("");
  for (const Node& node : graph.nodes) {
    const auto is_constant = [&](const std::string& input) { return constants.count(input) > 0; };
    if (!node.inputs.empty() && std::all_of(node.inputs.begin(), node.inputs.end(), is_constant)) {
      constants.insert(node.outputs.begin(), node.outputs.end());
      continue;
    }
    if (node.op == "Constant") constants.insert(node.outputs.begin(), node.outputs.end());
    for (const auto& [name, attribute] : node.attributes) {
      if (attribute.graph != nullptr && HasLayers(*attribute.graph, constants, rows)) return true;
    }
    const bool gather = node.op == "Gather" || node.op == "com.microsoft.GatherBlockQuantized";
    const bool looks_up = gather && is_constant(node.Input(0)) && !is_constant(node.Input(1));
    const bool of_rows = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const std::string& input) { return rows.count(input) > 0; });
    if (of_rows && IsProduct(node.op)) return true;
    if (node.op != "Shape" && (looks_up || of_rows)) rows.insert(node.outputs.begin(), node.outputs.end());
  }
  return false;
}

}  // namespace

bool IsWholeModel(const Graph& graph) { return HasLayers(graph, {}, {}); }

}  // namespace tied::converter
