#include "converter/safetensors/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "converter/graph/table_source.h"
#include "converter/safetensors/config.h"
#include "converter/safetensors/pair_graph.h"

namespace tied::converter {

namespace {

using Tensors = std::map<std::string, TensorRef>;

// Prefixes of the names in families.cc: parts of a model, as releases and wrappers name them.
constexpr const char* kPrefixes[] = {"",
                                     "model.",
                                     "transformer.",
                                     "backbone.",
                                     "language_model.model.",
                                     "model.language_model.",
                                     "language_model.",
                                     "model.text_model.",
                                     "text_model.model.",
                                     "text_model.",
                                     "thinker.model.",
                                     "thinker.",
                                     "decoder.",
                                     "language_model.transformer."};

bool EndsWithName(const std::string& name, const std::string& end) {
  return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0 &&
         name[name.size() - end.size() - 1] == '.';
}

// The first tensor that exists with any of the prefixes.
const TensorRef* Find(const Tensors& tensors, const char* names) {
  for (const std::string& name : NamesIn(names)) {
    for (const char* prefix : kPrefixes) {
      const auto found = tensors.find(prefix + name);
      if (found != tensors.end()) return &found->second;
    }
  }
  return nullptr;
}

// The only tensor with a name from the list after an arbitrary prefix.
const TensorRef* FindAnywhere(const Tensors& tensors, const char* names) {
  for (const std::string& name : NamesIn(names)) {
    const TensorRef* only = nullptr;
    int count = 0;
    for (const auto& [full, tensor] : tensors) {
      if (!EndsWithName(full, name)) continue;
      only = &tensor;
      ++count;
    }
    if (count == 1) return only;
  }
  return nullptr;
}

// Lists matrices that may be the table, for messages.
std::string Candidates(const Tensors& tensors, std::optional<int64_t> vocabulary) {
  constexpr size_t kMost = 4;
  std::vector<const TensorRef*> matrices;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dims.size() == 2 && IsFloat(tensor.type)) matrices.push_back(&tensor);
  }
  const auto fits = [&](const TensorRef* tensor) { return tensor->dims[0] == vocabulary.value_or(-1); };
  if (std::any_of(matrices.begin(), matrices.end(), fits)) {
    matrices.erase(std::remove_if(matrices.begin(), matrices.end(), [&](const TensorRef* t) { return !fits(t); }),
                   matrices.end());
  }
  std::stable_sort(matrices.begin(), matrices.end(),
                   [](const TensorRef* a, const TensorRef* b) { return a->dims[0] > b->dims[0]; });
  if (matrices.empty()) return "; the file has no matrix of F32, F16 or BF16";
  std::string text = "; the file has ";
  for (size_t i = 0; i < std::min(matrices.size(), kMost); ++i) {
    const TensorRef& matrix = *matrices[i];
    text += (i > 0 ? ", '" : "'") + matrix.name + "' [" + std::to_string(matrix.dims[0]) + ", " +
            std::to_string(matrix.dims[1]) + "]";
  }
  return text + (matrices.size() > kMost ? " and smaller matrices" : "");
}

class PairReader {
 public:
  PairReader(const std::string& path, const TableChoice& choice)
      : path_(SafetensorsFileOf(path)), choice_(choice), tensors_(ReadSafetensors(path_)), config_(path_) {}

  Graph Read() const {
    if (choice_.Any()) return MakePairGraph(Chosen());
    if (config_.family() == nullptr) RefuseFamily();
    const Family& family = *config_.family();
    TiedPair pair;
    pair.table = FindTable(family);
    const double scale = config_.Evaluate(family.embedding, pair.table.dims[1], pair.table.type);
    if (scale != 1) pair.scale = CheckedFactor(scale, config_.path() + ": '" + family.embedding.key + "'");
    pair.head = FindHead(family, pair.table);
    pair.bias = FindBias(Find(tensors_, family.names.biases), pair.head);
    const auto evaluate = [&](const Factor& factor) {
      return config_.Evaluate(factor, pair.table.dims[1], pair.table.type);
    };
    pair.logit_scale = CheckedFactor(evaluate(family.logits), config_.path() + ": '" + family.logits.key + "'");
    if (family.soft_cap.kind == Factor::Kind::kTimes) {
      pair.soft_cap = CheckedCap(evaluate(family.soft_cap), config_.path() + ": '" + family.soft_cap.key + "'");
    }
    return MakePairGraph(pair);
  }

 private:
  std::string HowToName() const {
    return "name the tensor with --table NAME [--scale X] [--bias NAME] [--logit-scale X] [--soft-cap X]" +
           Candidates(tensors_, config_.vocabulary());
  }

  [[noreturn]] void RefuseFamily() const {
    if (!config_.exists()) {
      throw ConvertError(path_ + ": has no config.json beside it, so its family is unknown; " + HowToName());
    }
    throw ConvertError(config_.path() + ": model_type '" + config_.model_type() +
                       "' is unknown, and so are its table and scale; " + HowToName());
  }

  static float CheckedFactor(double factor, const std::string& what) {
    const auto number = static_cast<float>(factor);
    if (std::isfinite(number) && number != 0) return number;
    throw ConvertError(what + " gives the factor " + std::to_string(number) + ", which is zero or not finite");
  }

  static float CheckedCap(double cap, const std::string& what) {
    const auto number = static_cast<float>(cap);
    if (std::isfinite(number) && number >= 0) return number;
    throw ConvertError(what + " gives the soft cap " + std::to_string(number) + ", which is negative or not finite");
  }

  // ---- options

  const TensorRef& Named(const std::string& name, const char* option) const {
    const auto found = tensors_.find(name);
    if (found != tensors_.end()) return found->second;
    throw ConvertError(path_ + ": " + option + ": has no tensor '" + name + "'" +
                       Candidates(tensors_, config_.vocabulary()));
  }

  TiedPair Chosen() const {
    if (choice_.table.empty()) throw ConvertError("--scale, --bias, --logit-scale and --soft-cap need --table");
    TiedPair pair;
    pair.table = Named(choice_.table, "--table");
    CheckMatrix(pair.table);
    pair.head = pair.table;
    if (choice_.scale == "sqrt") {
      pair.scale = static_cast<float>(std::sqrt(static_cast<double>(pair.table.dims[1])));
    } else if (!choice_.scale.empty()) {
      char* end = nullptr;
      const double scale = std::strtod(choice_.scale.c_str(), &end);
      if (*end != '\0') throw ConvertError("--scale: '" + choice_.scale + "' is neither a number nor 'sqrt'");
      pair.scale = CheckedFactor(scale, "--scale '" + choice_.scale + "'");
    }
    pair.logit_scale = CheckedFactor(choice_.logit_scale, "--logit-scale");
    pair.soft_cap = CheckedCap(choice_.soft_cap, "--soft-cap");
    if (!choice_.bias.empty()) pair.bias = FindBias(&Named(choice_.bias, "--bias"), pair.head);
    return pair;
  }

  // ---- families

  TensorRef FindTable(const Family& family) const {
    const TensorRef* table = Find(tensors_, family.names.tables);
    if (table == nullptr) table = FindAnywhere(tensors_, family.names.tables);
    if (table == nullptr) table = Find(tensors_, family.names.heads);
    if (table == nullptr) {
      throw ConvertError(path_ + ": no tensor has the name of an embedding of model_type '" + config_.model_type() +
                         "'; " + HowToName());
    }
    CheckMatrix(*table);
    CheckEncoder(family, *table);
    return *table;
  }

  // Some models have separate embeddings for encoder and decoder (Marian's share_encoder_decoder_embeddings).
  void CheckEncoder(const Family& family, const TensorRef& table) const {
    const TensorRef* encoder = Find(tensors_, family.names.encoders);
    if (encoder == nullptr || encoder->SamePlace(table)) return;
    CheckMatrix(*encoder);
    const bool same_shape = encoder->dims == table.dims;
    if (same_shape && (table.elements() == 0 || SameValues({table}, {*encoder}, [](uint64_t, uint64_t) {}))) return;
    throw ConvertError(path_ + ": the encoder has a different embedding: '" + encoder->name + "' differs from '" +
                       table.name + "'; --table '" + table.name + "' converts only the decoder's");
  }

  void CheckMatrix(const TensorRef& tensor) const {
    if (!IsFloat(tensor.type)) {
      throw ConvertError(path_ + ": '" + tensor.name + "' has dtype " + tensor.file_type +
                         "; only F32, F16 and BF16 are supported");
    }
    if (tensor.dims.size() != 2) throw ConvertError(path_ + ": '" + tensor.name + "' is not a matrix");
  }

  TensorRef FindHead(const Family& family, const TensorRef& table) const {
    const TensorRef* head = Find(tensors_, family.names.heads);
    if (head != nullptr) CheckMatrix(*head);
    if (head != nullptr) return *head;
    if (config_.tied().value_or(family.tied)) return table;
    throw ConvertError(config_.path() + ": the embedding and the lm_head are not tied: tie_word_embeddings is " +
                       (config_.tied() ? "false" : "missing, which means false for this model_type") + ", and " +
                       path_ + " has no lm_head to compare with '" + table.name + "'; --table '" + table.name +
                       "' uses it as both");
  }

  // A bias of zeros is dropped.
  std::optional<TensorRef> FindBias(const TensorRef* bias, const TensorRef& matrix) const {
    if (bias == nullptr) return std::nullopt;
    if (!IsFloat(bias->type) || bias->elements() != static_cast<uint64_t>(matrix.dims[0])) {
      throw ConvertError(path_ + ": '" + bias->name + "' does not have one number for each row of '" + matrix.name +
                         "'");
    }
    const std::vector<float> values = bias->ReadFloats();
    const bool none = std::all_of(values.begin(), values.end(), [](float x) { return x == 0; });
    return none ? std::nullopt : std::optional<TensorRef>(*bias);
  }

  const std::string path_;
  const TableChoice& choice_;
  const Tensors tensors_;
  const Config config_;
};

}  // namespace

std::set<std::string> FilesOfSafetensors(const std::string& path) {
  const std::string file = SafetensorsFileOf(path);
  std::set<std::string> files = ShardsOf(file);
  files.insert({file, ConfigPathOf(file)});
  return files;
}

Graph ReadSafetensorsGraph(const std::string& path, const TableChoice& choice) {
  return PairReader(path, choice).Read();
}

}  // namespace tied::converter
