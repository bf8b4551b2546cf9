// The embedding and the head of a decoder in one graph.
#include "base/error.h"
#include "converter/split/split.h"

namespace tied::converter {

Graph PairOf(const SplitModel& decoder) {
  if (!decoder.head) throw ConvertError(decoder.path + ": has no output 'logits'");
  Graph pair = decoder.embedding;
  const Graph& head = *decoder.head;
  pair.inputs.insert(pair.inputs.end(), head.inputs.begin(), head.inputs.end());
  pair.outputs.insert(pair.outputs.end(), head.outputs.begin(), head.outputs.end());
  pair.results.insert(pair.results.end(), head.results.begin(), head.results.end());
  // What both have is the same, unless it comes from two branches that use a name for two things.
  const auto require = [&](bool same, const std::string& name) {
    if (!same) throw ConvertError(decoder.path + ": the embedding and the head have two things called '" + name + "'");
  };
  for (const ValueInfo& input : head.inputs) {
    require(pair.FindConstant(input.name) == nullptr && pair.FindProducer(input.name) == nullptr, input.name);
  }
  for (const auto& [name, tensor] : head.constants) {
    require(pair.FindInput(name) == nullptr && pair.FindProducer(name) == nullptr, name);
    const auto [place, added] = pair.constants.emplace(name, tensor);
    require(added || place->second.SamePlace(tensor), name);
  }
  for (const Node& node : head.nodes) {
    const Node* same = node.outputs.empty() ? nullptr : pair.FindProducer(node.outputs[0]);
    for (const std::string& output : node.outputs) {
      require(pair.FindInput(output) == nullptr && pair.FindConstant(output) == nullptr, output);
    }
    if (same == nullptr) pair.nodes.push_back(node);
    require(same == nullptr || (same->op == node.op && same->inputs == node.inputs), node.name);
  }
  return pair;
}

}  // namespace tied::converter
