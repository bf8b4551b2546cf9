// The head of an export.
#ifndef TIED_CONVERTER_SPLIT_HEAD_H_
#define TIED_CONVERTER_SPLIT_HEAD_H_

#include <onnx/onnx_pb.h>

#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/output/plan.h"
#include "converter/split/piece.h"

namespace tied::converter {

// What was taken out of an export.
struct Head {
  Graph graph;                     // hidden to logits
  Plan plan;                       // of it
  std::set<std::string> replaced;  // names in the export of its tables, and of values that made logits
};

// Output `index` of the graph becomes `hidden`, what the head's product is made from. cols: of the embedding.
Head TakeHead(const PieceReader& reader, uint64_t cols, onnx::GraphProto* graph, int index);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_HEAD_H_
