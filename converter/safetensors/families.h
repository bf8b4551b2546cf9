// What each family of models does with its table. CONTRIBUTING.md says how to add one.
#ifndef TIED_CONVERTER_SAFETENSORS_FAMILIES_H_
#define TIED_CONVERTER_SAFETENSORS_FAMILIES_H_

#include <string>
#include <string_view>
#include <vector>

namespace tied::converter {

// Names of tensors, separated by blanks, in the order in which they are looked for. Prefixes such as "model." and
// "language_model." are left out.
struct TensorNames {
  const char* tables;    // the embedding
  const char* heads;     // what transformers ties to it
  const char* biases;    // of the logits
  const char* encoders;  // the encoder's embedding, which must be the same
};

// A factor that the family multiplies with.
struct Factor {
  enum class Kind {
    kOne,
    kRoot,               // the square root of the width
    kRootIf,             // the same, if the Boolean `key` of config.json is true; `otherwise` 1: also if it is missing
    kRootAsTable,        // the same root, rounded to the type of the table
    kRootAsBFloat16,     // the same root, rounded to bfloat16
    kInverseRootIfTied,  // 1 / the root, unless config.json says that the two are not tied
    kTimes,              // the number `key` of config.json; `otherwise` if it is missing
    kOver,               // 1 / that number
  };
  Kind kind = Kind::kOne;
  const char* key = "";
  double otherwise = 1;
};

struct Family {
  const char* model_types;  // separated by blanks
  TensorNames names;
  bool tied;  // where config.json does not say
  Factor embedding;
  Factor logits = {};
  Factor soft_cap = {};  // kTimes: its number, and null in config.json means none; kOne: none
};

// The words of such a list.
std::vector<std::string> NamesIn(std::string_view list);

// The family with that model_type; null if there is none.
const Family* FindFamily(const std::string& model_type);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_FAMILIES_H_
