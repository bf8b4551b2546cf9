#ifndef TIED_CONVERTER_SAFETENSORS_TABLE_CHOICE_H_
#define TIED_CONVERTER_SAFETENSORS_TABLE_CHOICE_H_

#include <string>

namespace tied::converter {

// The caller's choices for a safetensors model of an unknown family. Without a table, the family decides.
struct TableChoice {
  std::string table;  // name of the tensor that is both the embedding and the head
  std::string scale;  // of the embeddings: a number, or "sqrt" for the square root of the width; "": 1
  std::string bias;   // name of the tensor that is added to the logits; "": none
  double logit_scale = 1;
  double soft_cap = 0;  // of the logits; 0: none

  bool Any() const { return !table.empty() || !scale.empty() || !bias.empty() || logit_scale != 1 || soft_cap != 0; }
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_TABLE_CHOICE_H_
