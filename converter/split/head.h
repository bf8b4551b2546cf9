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
  std::string input;               // the input of the export that its hidden states are; "" if the export makes them
  std::set<std::string> replaced;  // names in the export of its tables, and of values that made logits
};

// Output `index` of the graph becomes what the head's product is made from, under the name `hidden`. Throws
// ConvertError where no head makes the output; the graph may have been changed by then.
Head TakeHead(const PieceReader& reader, const std::string& hidden, int index, onnx::GraphProto* graph);

// The same table, bias and shape of logits.
bool SameHead(const Plan& a, const Plan& b);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_HEAD_H_
