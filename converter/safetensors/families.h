// How each family of models uses its table. CONTRIBUTING.md says how to add one.
#ifndef TIED_CONVERTER_SAFETENSORS_FAMILIES_H_
#define TIED_CONVERTER_SAFETENSORS_FAMILIES_H_

#include <string>
#include <string_view>
#include <vector>

namespace tied::converter {

// Names of tensors, separated by spaces, in search order, without prefixes such as "model." and "language_model.".
struct TensorNames {
  const char* tables;    // the embedding
  const char* heads;     // tied to it by transformers
  const char* biases;    // of the logits
  const char* encoders;  // the encoder's embedding, which must be the same
};

// A factor that the family applies.
struct Factor {
  enum class Kind {
    kOne,
    kRoot,            // the square root of the width
    kRootIf,          // the same if the Boolean `key` of config.json is true; with `otherwise` 1, also if it is missing
    kRootAsTable,     // the same root, rounded to the type of the table
    kRootAsBFloat16,  // the same root, rounded to bfloat16
    kInverseRootIfTied,  // 1 / the root, unless config.json says that embedding and lm_head are not tied
    kTimes,              // the number `key` of config.json; `otherwise` if it is missing
    kOver,               // 1 / that number
  };
  Kind kind = Kind::kOne;
  const char* key = "";
  double otherwise = 1;
};

struct Family {
  const char* model_types;  // separated by spaces
  TensorNames names;
  bool tied;  // default if config.json does not say
  Factor embedding;
  Factor logits = {};
  Factor soft_cap = {};  // kTimes: its number, and null in config.json means none; kOne: none
};

// Splits such a list.
std::vector<std::string> NamesIn(std::string_view list);

// The family with that model_type; null if it is unknown.
const Family* FindFamily(const std::string& model_type);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_FAMILIES_H_
