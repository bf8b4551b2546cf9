#include "converter/split/split.h"

#include <algorithm>
#include <map>
#include <set>

#include "converter/onnx/import.h"
#include "converter/onnx/scope.h"
#include "converter/onnx/slim.h"
#include "converter/split/embedding.h"
#include "converter/split/head.h"
#include "converter/split/names.h"
#include "converter/split/piece.h"

namespace tied::converter {

namespace {

// Refuses a node that uses a value which is gone, in subgraphs too.
void CheckGone(const PieceReader& reader, const onnx::GraphProto& graph, const std::set<std::string>& gone) {
  for (const onnx::NodeProto& node : graph.node()) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) CheckGone(reader, attribute.g(), gone);
    }
    for (const std::string& input : node.input()) {
      if (gone.count(input) == 0) continue;
      reader.Refuse(node, "still uses '" + input + "' when the embedding and the head are gone");
    }
  }
}

// Inputs of embeddings instead of ids that nothing uses any more. Initializers may be listed as inputs, too.
void SetInputs(const Embedding& embedding, const std::set<std::string>& initializers, onnx::GraphProto* graph) {
  std::set<std::string> uses;
  CollectUses(*graph, &uses);
  RemoveIf(graph->mutable_input(), [&](const onnx::ValueInfoProto& input) {
    return (IsTokenIds(input.name()) || initializers.count(input.name()) > 0) && uses.count(input.name()) == 0;
  });
  for (const auto& [name, type] : embedding.inputs) {
    *graph->add_input() = Declare(name, type, static_cast<int64_t>(embedding.table.cols()), 3, kPrefix);
  }
}

}  // namespace

SplitModel SplitOnnx(const std::string& path) {
  SplitModel split;
  split.path = path;
  split.model = ReadSlimModel(path);
  onnx::GraphProto* graph = split.model.mutable_graph();
  std::set<std::string> initializers;
  for (const onnx::TensorProto& tensor : graph->initializer()) initializers.insert(tensor.name());
  split.files = FilesOf(ImportModel(split.model, path));  // whose graph has no cycle, and no name twice
  CheckNames(*graph, path);
  const PieceReader reader(split.model, split.path);
  Embedding embedding = TakeEmbedding(reader, graph);
  std::set<std::string> gone = embedding.tables;
  for (int i = 0; i < graph->output_size(); ++i) {
    if (graph->output(i).name() != kLogits) continue;
    Head head = TakeHead(reader, embedding.table.cols(), graph, i);
    gone.merge(head.replaced);
    split.head = std::move(head.graph);
  }
  RemoveUnused(graph);
  CheckGone(reader, *graph, gone);
  SetInputs(embedding, initializers, graph);
  (void)ImportModel(split.model, path);  // names that are added may have been there
  split.embedding = std::move(embedding.graph);
  split.table = embedding.table;
  split.scale = embedding.scale;
  return split;
}

}  // namespace tied::converter
