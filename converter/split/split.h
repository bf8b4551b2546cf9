// Whole exports of encoders and decoders, taken apart: the tied pair into one graph, the rest into ONNX files without.
#ifndef TIED_CONVERTER_SPLIT_SPLIT_H_
#define TIED_CONVERTER_SPLIT_SPLIT_H_

#include <onnx/onnx_pb.h>

#include <optional>
#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/output/plan.h"

namespace tied::converter {

// An export without its embedding and its head.
struct SplitModel {
  std::string path;             // of the export
  std::set<std::string> files;  // of its external data
  onnx::ModelProto model;       // inputs_embeds [batch, sequence, cols] in; a decoder has `hidden` instead of logits
  Graph embedding;              // input_ids to embeddings, as the export computes them
  TableSource table;            // that it reads
  float scale = 1;
  std::optional<Graph> head;  // of a decoder: hidden to logits
};

// Reads an export as optimum writes them, quantised or not. The embedding is the Gather on a constant matrix by the
// graph's input_ids (decoder_input_ids), what makes floating-point numbers of its rows, and a product with a constant
// number; the head is the product that makes the output `logits`, and a sum with a constant vector. What forms both may
// have is what the passes know. Both may stand in the branches of an If. input_ids stays where something else uses it.
// A graph with both kinds of ids gets decoder_inputs_embeds, too. Throws ConvertError that names the node for anything
// else.
SplitModel SplitOnnx(const std::string& path);

// The embedding and the head of a decoder as a graph: input_ids and hidden in, embeddings and logits out.
Graph PairOf(const SplitModel& decoder);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_SPLIT_H_
