// Takes the head out of an export.
#ifndef TIED_CONVERTER_SPLIT_HEAD_H_
#define TIED_CONVERTER_SPLIT_HEAD_H_

#include <onnx/onnx_pb.h>

#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/output/plan.h"
#include "converter/split/piece.h"

namespace tied::converter {

// The head of an export.
struct Head {
  Graph graph;                     // hidden to logits
  Plan plan;                       // of the graph
  std::string input;               // the input of the export with hidden states; "" if the export computes them
  std::set<std::string> replaced;  // names in the export of its tables, and of values that computed logits
};

// Replaces output `index` of the graph by the hidden states of the head, named `hidden`. Throws ConvertError if the
// output does not come from a head; the graph may be changed even then.
Head TakeHead(const PieceReader& reader, const std::string& hidden, int index, onnx::GraphProto* graph);

// True if table, bias and shape of logits are equal.
bool SameHead(const Plan& a, const Plan& b);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_HEAD_H_
