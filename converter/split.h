// Whole exports of encoders and decoders, taken apart: the tied pair into one graph, the rest into ONNX files without.
#ifndef TIED_CONVERTER_SPLIT_H_
#define TIED_CONVERTER_SPLIT_H_

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <vector>

#include "converter/graph.h"

namespace tied::converter {

// An export without its embedding and its head.
struct SplitModel {
  std::string path;        // of the export
  onnx::ModelProto model;  // inputs_embeds [batch, sequence, cols] in; a decoder has `hidden` instead of logits
  TensorRef table;         // [rows, cols], that the embedding reads
  std::optional<float> scale;

  // Of a decoder: what the head multiplies with, and its bias.
  std::optional<TensorRef> head;
  bool head_transposed = false;  // [cols, rows]
  std::optional<TensorRef> bias;
};

// Reads an export as optimum writes them. The embedding is the Gather on a constant matrix by the graph's input_ids
// (decoder_input_ids), and a product with a constant number behind it; the head is the MatMul that makes the output
// `logits`, and a sum with a constant vector behind it. Both may stand in the branches of an If. input_ids stays where
// something else uses it. Throws ConvertError that names the node for anything else.
SplitModel SplitOnnx(const std::string& path);

// The embedding and the head of a decoder as a graph: input_ids and hidden in, embeddings and logits out.
Graph PairOf(const SplitModel& decoder);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_H_
