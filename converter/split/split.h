// Splits whole exports of encoders and decoders: the tied pair into one graph, the rest into ONNX files without it.
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
  std::string hidden = "hidden";  // the output that replaces it
};

// An export without its embedding, its head, or both.
struct SplitModel {
  std::string path;                // of the export
  std::set<std::string> files;     // files of its external data
  onnx::ModelProto model;          // reads inputs_embeds, the ids' shape and cols; writes `hidden` instead of logits
  bool empty = false;              // nothing of the model is left: it was only a head
  std::set<std::string> inputs;    // of the export
  std::set<std::string> outputs;   // of the export
  std::optional<Graph> embedding;  // input_ids to embeddings, as the export computes them
  TableSource table;               // read by the embedding
  float scale = 1;
  std::optional<Graph> head;  // hidden to logits
  Plan head_plan;             // of the head
};

// Splits an export such as optimum's, quantised or not. The embedding is the Gather on a constant matrix by the graph's
// token ids, the dequantisation of its rows, and, with_scale, a product with a constant number. The head is the product
// that computes the logits, and a sum with a constant vector. Both may have any form that the passes support, and may
// be in the branches of an If. Inputs of token ids are kept if something else uses them. A graph with input_ids and
// decoder_input_ids also gets decoder_inputs_embeds. If names do not identify ids or logits, `vocabulary`, the number
// of rows of the table if it is known, does. Throws ConvertError that names the node for anything else, and for an
// export without embedding and head.
SplitModel SplitOnnx(const std::string& path, const SplitNames& names = {}, bool with_scale = true,
                     int64_t vocabulary = 0);

// The ONNX files in `paths`: files themselves, and the files in folders, without variants that are named like another
// file plus a suffix ("_quantized"). Throws ConvertError for a folder without ONNX files.
std::vector<std::string> ExportsIn(const std::vector<std::string>& paths);

// Splits the exports of one model, which must have the same table and the same head. If they scale embeddings
// differently, the scale stays in the exports. Throws ConvertError.
std::vector<SplitModel> SplitExports(const std::vector<std::string>& paths, const SplitNames& names = {});

// Joins the embedding and the head of the exports in one graph with inputs input_ids and hidden, and outputs embeddings
// and logits. If one is missing, throws ConvertError that lists the outputs.
Graph PairOf(const std::vector<SplitModel>& models);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_SPLIT_H_
