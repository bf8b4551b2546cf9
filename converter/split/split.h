// Whole exports of encoders and decoders, taken apart: the tied pair into one graph, the rest into ONNX files without.
#ifndef TIED_CONVERTER_SPLIT_SPLIT_H_
#define TIED_CONVERTER_SPLIT_SPLIT_H_

#include <onnx/onnx_pb.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "converter/graph/graph.h"
#include "converter/output/plan.h"

namespace tied::converter {

// Names that the caller gives; the first two may be empty.
struct SplitNames {
  std::string ids;                // the input of token ids
  std::string logits;             // the output of logits
  std::string hidden = "hidden";  // the output that takes its place
};

// An export without its embedding, its head, or both.
struct SplitModel {
  std::string path;                // of the export
  std::set<std::string> files;     // of its external data
  onnx::ModelProto model;          // inputs_embeds, the ids' shape and cols, in; `hidden` out instead of logits
  bool empty = false;              // nothing of the model is left: it was a head and no more
  std::set<std::string> inputs;    // of the export
  std::set<std::string> outputs;   // of the export
  std::optional<Graph> embedding;  // input_ids to embeddings, as the export computes them
  TableSource table;               // that it reads
  float scale = 1;
  std::optional<Graph> head;  // hidden to logits
  Plan head_plan;             // of it
};

// Reads an export as optimum writes them, quantised or not. The embedding is the Gather on a constant matrix by the
// graph's token ids, what makes floating-point numbers of its rows, and, with_scale, a product with a constant number;
// the head is the product that makes the logits, and a sum with a constant vector. What forms both may have is what the
// passes know. Both may stand in the branches of an If. Token ids stay where something else uses them. A graph with
// input_ids and decoder_input_ids gets decoder_inputs_embeds, too. Where the names say nothing, `vocabulary`, the rows
// of the table if they are known, does. Throws ConvertError that names the node for anything else, and for an export
// without embedding and head.
SplitModel SplitOnnx(const std::string& path, const SplitNames& names = {}, bool with_scale = true,
                     int64_t vocabulary = 0);

// The ONNX files that `paths` name: files as they are, and of folders those inside, without the variants that are
// called as another with a suffix ("_quantized"). Throws ConvertError for a folder without any.
std::vector<std::string> ExportsIn(const std::vector<std::string>& paths);

// The exports of one model, which read the same table, scaled in the same way, and have the same head. The scale of
// embeddings stays in the exports where they do not agree in it. Throws ConvertError.
std::vector<SplitModel> SplitExports(const std::vector<std::string>& paths, const SplitNames& names = {});

// The embedding and the head of the exports as a graph: input_ids and hidden in, embeddings and logits out. Throws
// ConvertError that says what there is, if one of the two is missing.
Graph PairOf(const std::vector<SplitModel>& models);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_SPLIT_H_
