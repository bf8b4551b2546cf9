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
  // Under names of their own: those of the model may be the same for different tensors, or be taken here.
  graph.constants["table"] = pair.table;
  graph.constants["head"] = pair.head;
  graph.nodes.push_back({"Gather", "embed", {"table", "input_ids"}, {pair.scale ? "rows" : "embeddings"}, {}});
  if (pair.scale) {
    graph.constants["embedding_scale"] = Scalar("embedding_scale", *pair.scale);
    graph.nodes.push_back({"Mul", "embed_scale", {"rows", "embedding_scale"}, {"embeddings"}, {}});
  }
  Attribute transposed;
  transposed.i = !pair.head_transposed;
  graph.nodes.push_back({"com.microsoft.FusedMatMul",
                         "lm_head",
                         {"hidden", "head"},
                         {pair.bias ? "products" : "logits"},
                         {{"transB", transposed}}});
  if (pair.bias) {
    graph.constants["bias"] = *pair.bias;
    graph.nodes.push_back({"Add", "lm_head_bias", {"products", "bias"}, {"logits"}, {}});
  }
  return graph;
}

}  // namespace tied::converter
