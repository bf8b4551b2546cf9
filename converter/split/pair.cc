// Joins the embedding and the head of exports in one graph.
#include <algorithm>

#include "base/error.h"
#include "converter/split/split.h"

namespace tied::converter {

namespace {

bool Has(const Graph& graph, const std::string& value) {
  return graph.FindInput(value) != nullptr || graph.FindConstant(value) != nullptr ||
         graph.FindProducer(value) != nullptr;
}

void RenameValue(const std::string& from, const std::string& to, Graph* graph) {
  const auto constant = graph->constants.find(from);
  if (constant != graph->constants.end()) {
    graph->constants[to] = std::move(constant->second);
    graph->constants.erase(from);
  }
  for (Node& node : graph->nodes) {
    std::replace(node.outputs.begin(), node.outputs.end(), from, to);
  }
  graph->ReplaceUses(from, to);
}

// Renames values, except inputs, whose names `other` also uses: they may come from a different file or branch.
Graph WithOwnNames(Graph graph, const Graph& other) {
  std::set<std::string> values;
  for (const auto& [name, tensor] : graph.constants) values.insert(name);
  for (const Node& node : graph.nodes) values.insert(node.outputs.begin(), node.outputs.end());
  values.erase("");
  for (const std::string& value : values) {
    const TensorRef *constant = graph.FindConstant(value), *same = other.FindConstant(value);
    if (!Has(other, value) || (constant != nullptr && same != nullptr && constant->SamePlace(*same))) continue;
    std::string own = value + "_";
    while (Has(other, own) || Has(graph, own)) own += "_";
    RenameValue(value, own, &graph);
  }
  return graph;
}

std::string ListOutputs(const std::vector<SplitModel>& models) {
  std::string list;
  for (const SplitModel& model : models) {
    for (const std::string& output : model.outputs) list += (list.empty() ? "'" : ", '") + output + "'";
  }
  return list;
}

}  // namespace

Graph PairOf(const std::vector<SplitModel>& models) {
  const auto embedding =
      std::find_if(models.begin(), models.end(), [](const SplitModel& model) { return model.embedding.has_value(); });
  const auto head =
      std::find_if(models.begin(), models.end(), [](const SplitModel& model) { return model.head.has_value(); });
  if (head == models.end()) {
    throw ConvertError(models.at(0).path +
                       ": has no output 'logits', and no output is a product with the table; outputs are " +
                       ListOutputs(models) + "; choose one with --logits NAME");
  }
  if (embedding == models.end()) {
    throw ConvertError(models[0].path + ": no Gather on a constant matrix by token ids; name their input with --ids " +
                       "NAME, or add the export that has the embedding");
  }
  const Graph rest = WithOwnNames(*head->head, *embedding->embedding);
  Graph pair = WithOwnNames(*embedding->embedding, rest);
  pair.inputs.insert(pair.inputs.end(), rest.inputs.begin(), rest.inputs.end());
  pair.outputs.insert(pair.outputs.end(), rest.outputs.begin(), rest.outputs.end());
  pair.results.insert(pair.results.end(), rest.results.begin(), rest.results.end());
  pair.constants.insert(rest.constants.begin(), rest.constants.end());
  pair.nodes.insert(pair.nodes.end(), rest.nodes.begin(), rest.nodes.end());
  return pair;
}

}  // namespace tied::converter
