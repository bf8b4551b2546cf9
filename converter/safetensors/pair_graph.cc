#include "converter/safetensors/pair_graph.h"

namespace tied::converter {

namespace {

TensorRef Scalar(const std::string& name, float value) {
  TensorRef tensor;
  tensor.name = name;
  tensor.type = ElementType::kFloat32;
  tensor.SetBytes({reinterpret_cast<const char*>(&value), sizeof value});
  return tensor;
}

}  // namespace

Graph MakePairGraph(const TiedPair& pair) {
  const int64_t rows = pair.table.dims[0], cols = pair.table.dims[1];
  const std::vector<ValueInfo::Dim> tokens = {{-1, "batch"}, {-1, "sequence"}};
  const auto floats = [&](const char* name, int64_t width) {
    ValueInfo info{name, ElementType::kFloat32, tokens};
    info.dims.push_back({width, ""});
    return info;
  };
  Graph graph;
  graph.name = "tied_pair";
  graph.inputs = {{"input_ids", ElementType::kInt64, tokens}, floats("hidden", cols)};
  graph.outputs = {floats("embeddings", cols), floats("logits", rows)};
  graph.results = {"embeddings", "logits"};
  // New names, because names of the model may be equal for different tensors or already used here.
  graph.constants["table"] = pair.table;
  graph.constants["head"] = pair.head;
  graph.nodes.push_back({"Gather", "embed", {"table", "input_ids"}, {pair.scale ? "rows" : "embeddings"}, {}});
  if (pair.scale) {
    graph.constants["embedding_scale"] = Scalar("embedding_scale", *pair.scale);
    graph.nodes.push_back({"Mul", "embed_scale", {"rows", "embedding_scale"}, {"embeddings"}, {}});
  }
  Attribute transposed;
  transposed.i = !pair.head_transposed;
  Attribute alpha;
  alpha.f = pair.logit_scale;
  // The last node produces the logits.
  std::vector<Node> nodes = {
      {"com.microsoft.FusedMatMul", "lm_head", {"hidden", "head"}, {}, {{"transB", transposed}, {"alpha", alpha}}}};
  if (pair.bias) {
    graph.constants["bias"] = *pair.bias;
    nodes.push_back({"Add", "lm_head_bias", {"", "bias"}, {}, {}});
  }
  if (pair.soft_cap != 0) {
    graph.constants["soft_cap"] = Scalar("soft_cap", pair.soft_cap);
    nodes.push_back({"Div", "soft_cap_div", {"", "soft_cap"}, {}, {}});
    nodes.push_back({"Tanh", "soft_cap_tanh", {""}, {}, {}});
    nodes.push_back({"Mul", "soft_cap_mul", {"", "soft_cap"}, {}, {}});
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (i > 0) nodes[i].inputs[0] = nodes[i - 1].outputs[0];
    nodes[i].outputs = {i + 1 < nodes.size() ? nodes[i].name + "_result" : "logits"};
    graph.nodes.push_back(nodes[i]);
  }
  return graph;
}

}  // namespace tied::converter
