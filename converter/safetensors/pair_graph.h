// The graph of a tied pair, where there is none in the model's files.
#ifndef TIED_CONVERTER_SAFETENSORS_PAIR_GRAPH_H_
#define TIED_CONVERTER_SAFETENSORS_PAIR_GRAPH_H_

#include <optional>

#include "converter/graph/graph.h"

namespace tied::converter {

struct TiedPair {
  TensorRef table;               // [rows, cols]
  std::optional<float> scale;    // of embeddings
  TensorRef head;                // what hidden states are multiplied with: the table, or what it is compared with
  bool head_transposed = false;  // [cols, rows]
  float logit_scale = 1;         // factor on the product
  std::optional<TensorRef> bias;
  float soft_cap = 0;  // of logits; 0: none
};

// input_ids [batch, sequence] to embeddings [batch, sequence, cols], and hidden [batch, sequence, cols] to logits
// [batch, sequence, rows].
Graph MakePairGraph(const TiedPair& pair);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_PAIR_GRAPH_H_
