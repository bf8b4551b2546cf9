// Makes the graph of a tied pair, because safetensors files have none.
#ifndef TIED_CONVERTER_SAFETENSORS_PAIR_GRAPH_H_
#define TIED_CONVERTER_SAFETENSORS_PAIR_GRAPH_H_

#include <optional>

#include "converter/graph/graph.h"

namespace tied::converter {

struct TiedPair {
  TensorRef table;               // [rows, cols]
  std::optional<float> scale;    // of embeddings
  TensorRef head;                // the matrix of the head: the table, or a matrix to compare with the table
  bool head_transposed = false;  // [cols, rows]
  float logit_scale = 1;         // factor on the product
  std::optional<TensorRef> bias;
  float soft_cap = 0;  // of logits; 0: none
};

// Computes embeddings [batch, sequence, cols] from input_ids [batch, sequence], and logits [batch, sequence, rows] from
// hidden [batch, sequence, cols].
Graph MakePairGraph(const TiedPair& pair);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_PAIR_GRAPH_H_
