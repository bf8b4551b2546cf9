// The embedding of an export.
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

// What was taken out of an export.
struct Embedding {
  Graph graph;  // input_ids to embeddings, as the export computes them
  TableSource table;
  float scale = 1;
  std::map<std::string, onnx::ValueInfoProto> inputs;  // that take the place of rows
  std::set<std::string> tables;                        // names of the tables in the export
};

// In the place of each Gather by `ids` comes an input of embeddings, in subgraphs too. with_scale: a Cast of rows, and
// their product with a constant number, belong to the embedding where nothing else uses what comes before. Nothing
// where the places do not agree in them; the graph has been changed even so.
std::optional<Embedding> TakeEmbedding(const PieceReader& reader, const std::set<std::string>& ids, bool with_scale,
                                       onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_EMBEDDING_H_
