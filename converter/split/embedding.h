// Takes the embedding out of an export.
#ifndef TIED_CONVERTER_SPLIT_EMBEDDING_H_
#define TIED_CONVERTER_SPLIT_EMBEDDING_H_

#include <onnx/onnx_pb.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/graph/table_source.h"
#include "converter/split/piece.h"

namespace tied::converter {

// The embedding of an export.
struct Embedding {
  Graph graph;  // input_ids to embeddings, as the export computes them
  TableSource table;
  float scale = 1;
  std::map<std::string, onnx::ValueInfoProto> inputs;  // that replace rows
  std::set<std::string> tables;                        // names of the tables in the export
};

// Replaces each Gather by `ids`, also in subgraphs, by an input of embeddings. with_scale: the embedding includes a
// Cast of the rows and their product with a constant number, unless something else uses the values before. Returns
// nullopt if the Gathers differ in these; the graph is changed even then.
std::optional<Embedding> TakeEmbedding(const PieceReader& reader, const std::set<std::string>& ids, bool with_scale,
                                       onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_EMBEDDING_H_
