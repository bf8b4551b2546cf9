// The embedding of an export.
#ifndef TIED_CONVERTER_SPLIT_EMBEDDING_H_
#define TIED_CONVERTER_SPLIT_EMBEDDING_H_

#include <onnx/onnx_pb.h>

#include <map>
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
  std::map<std::string, int> inputs;  // that take the place of rows, with their types
  std::set<std::string> tables;       // names of the tables in the export
};

// In each Gather's place comes an input of embeddings, in subgraphs too. Throws ConvertError where there is none.
Embedding TakeEmbedding(const PieceReader& reader, onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_EMBEDDING_H_
