#include "converter/safetensors/safetensors.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "converter/graph/table_source.h"
#include "converter/safetensors/pair_graph.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 16u << 20;
constexpr int kMaxDepth = 16;
constexpr char kIndexEnd[] = ".safetensors.index.json";

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Copies of nested values recurse. The library's own way to watch the depth takes time with the square of the members.
void CheckDepth(const std::string& text, const std::string& path) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (c == '\\') ++i;
    if (quoted) continue;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxDepth) throw ConvertError(path + ": is nested too deeply");
  }
}

Json Parse(const std::string& text, const std::string& path) {
  CheckDepth(text, path);
  try {
    Json json = Json::parse(text);
    if (json.is_object()) return json;
  } catch (const Json::exception&) {
  }
  throw ConvertError(path + ": is no JSON object");
}

Json ReadJson(const std::string& path) {
  const InputFile file(path);
  if (file.size() > kMaxHeaderBytes) throw ConvertError(path + ": is too large");
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.ReadAt(0, text.data(), text.size());
  return Parse(text, path);
}

// Models of text and images describe their text part inside. Either part may say that the two are tied.
Json ReadConfig(const std::string& path) {
  static const char kTied[] = "tie_word_embeddings";
  Json config = ReadJson(path);
  const auto text = config.find("text_config");
  if (text == config.end() || !text->is_object()) return config;
  const bool tied = config.contains(kTied) && config[kTied] == true;
  config.update(Json(*text));
  if (tied) config[kTied] = true;
  return config;
}

// The member of an object, or its default where it is missing; the wrong type is an error.
template <class T>
T Member(const Json& object, const char* name, T otherwise, const std::string& path) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return otherwise;
  try {
    return found->get<T>();
  } catch (const Json::exception&) {
    throw ConvertError(path + ": '" + name + "' has a type that was not expected");
  }
}

// A whole number that int64 holds, too. The library would take 1.5, true and -1 for one.
uint64_t Size(const Json& number, const std::string& what) {
  if (number.is_number_unsigned() && number.get<uint64_t>() <= INT64_MAX) return number.get<uint64_t>();
  throw ConvertError(what + ": has a shape or data_offsets that are no sizes");
}

// A folder stands for the model in it.
std::string FileOf(const std::string& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    const fs::path file = fs::path(path) / name;
    if (fs::exists(file)) return file.string();
  }
  return path;
}

std::string ConfigOf(const std::string& file) { return (fs::absolute(file).parent_path() / "config.json").string(); }

std::set<std::string> ShardsOf(const std::string& file) {
  if (!EndsWith(file, kIndexEnd)) return {file};
  std::set<std::string> shards;
  const Json index = ReadJson(file);
  for (const auto& [tensor, shard] : Member<std::map<std::string, std::string>>(index, "weight_map", {}, file)) {
    // A stranger's index must not reach other folders.
    if (shard.empty() || fs::path(shard).filename() != shard || shard == "..") {
      throw ConvertError(file + ": tensor '" + tensor + "': shard '" + shard + "' is no file name");
    }
    shards.insert((fs::absolute(file).parent_path() / shard).string());
  }
  if (shards.empty()) throw ConvertError(file + ": names no tensor");
  return shards;
}

ElementType TypeOf(const std::string& dtype) {
  static const std::map<std::string, ElementType> kTypes = {{"F32", ElementType::kFloat32},
                                                            {"F16", ElementType::kFloat16},
                                                            {"BF16", ElementType::kBFloat16},
                                                            {"I64", ElementType::kInt64},
                                                            {"I32", ElementType::kInt32}};
  const auto found = kTypes.find(dtype);
  return found == kTypes.end() ? ElementType::kOther : found->second;
}

// Eight bytes of length, a JSON header of that length, the values.
class Shard {
 public:
  Shard(const std::string& path, std::map<std::string, TensorRef>* tensors) : path_(path), tensors_(tensors) {}

  void Read() {
    const InputFile file(path_);
    uint64_t length = 0;
    if (file.size() < sizeof length) throw ConvertError(path_ + ": is no safetensors file: it is too short");
    file.ReadAt(0, &length, sizeof length);
    if (length > kMaxHeaderBytes || length > file.size() - sizeof length) {
      throw ConvertError(path_ + ": is no safetensors file: its header would have " + std::to_string(length) +
                         " bytes");
    }
    std::string text(static_cast<size_t>(length), '\0');
    file.ReadAt(sizeof length, text.data(), text.size());
    data_ = sizeof length + length;
    size_ = file.size() - data_;
    const Json header = Parse(text, path_);
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") Add(name, entry);
    }
  }

 private:
  void Add(const std::string& name, const Json& entry) {
    const std::string what = path_ + ": tensor '" + name + "'";
    TensorRef tensor;
    tensor.name = name;
    tensor.path = path_;
    uint64_t begin = 0, end = 0;
    try {
      begin = Size(entry.at("data_offsets").at(0), what);
      end = Size(entry.at("data_offsets").at(1), what);
      for (const Json& dim : entry.at("shape")) tensor.dims.push_back(static_cast<int64_t>(Size(dim, what)));
      tensor.file_type = entry.at("dtype").get<std::string>();
      tensor.type = TypeOf(tensor.file_type);
    } catch (const Json::exception&) {
      throw ConvertError(what + ": has no dtype, shape and data_offsets");
    }
    if (begin > end || end > size_) throw ConvertError(what + ": lies behind the end of the file");
    tensor.onnx_type = static_cast<int>(tensor.type);
    tensor.offset = data_ + begin;
    tensor.length = end - begin;
    if (tensor.type != ElementType::kOther) {
      const uint64_t expected = CheckedBytes(tensor.dims, ElementSize(tensor.type), what);
      if (expected != tensor.length) {
        throw ConvertError(what + " has " + std::to_string(tensor.length) + " bytes, its shape needs " +
                           std::to_string(expected));
      }
    }
    if (!tensors_->emplace(name, std::move(tensor)).second) throw ConvertError(what + ": is there twice");
  }

  const std::string path_;
  std::map<std::string, TensorRef>* tensors_;
  uint64_t data_ = 0;  // where the values begin
  uint64_t size_ = 0;  // of all values
};

// What a family does with its embeddings (huggingface.co/docs/transformers, modeling_*.py of each).
struct Family {
  enum class Scale { kOne, kIfAsked, kUnlessDenied, kAlways };  // the square root of the width
  bool tied;                                                    // where config.json does not say
  Scale scale;                                                  // asked and denied by scale_embedding
};

const Family& FamilyOf(const std::string& model_type, const std::string& path) {
  static const Family kM2m100{true, Family::Scale::kUnlessDenied};
  static const Family kSeq2Seq{true, Family::Scale::kIfAsked};
  static const Family kPlainTied{true, Family::Scale::kOne};
  static const Family kPlain{false, Family::Scale::kOne};
  static const Family kGemma{true, Family::Scale::kAlways};
  static const std::map<std::string, Family> kFamilies = {
      {"m2m_100", kM2m100}, {"mbart", kSeq2Seq}, {"marian", kSeq2Seq}, {"bart", kSeq2Seq},     {"t5", kPlainTied},
      {"gpt2", kPlainTied}, {"llama", kPlain},   {"mistral", kPlain},  {"qwen2", kPlain},      {"qwen3", kPlain},
      {"gemma", kGemma},    {"gemma2", kGemma},  {"gemma3", kGemma},   {"gemma3_text", kGemma}};
  const auto found = kFamilies.find(model_type);
  if (found != kFamilies.end()) return found->second;
  std::string known;
  for (const auto& [name, family] : kFamilies) known += (known.empty() ? "" : ", ") + name;
  throw ConvertError(path + ": model_type '" + model_type + "' is not known; known are " + known);
}

const TensorRef* FindFirst(const std::map<std::string, TensorRef>& tensors, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = tensors.find(name);
    if (found != tensors.end()) return &found->second;
  }
  return nullptr;
}

class PairReader {
 public:
  explicit PairReader(const std::string& path)
      : path_(FileOf(path)),
        config_path_(ConfigOf(path_)),
        tensors_(ReadSafetensors(path_)),
        config_(ReadConfig(config_path_)),
        family_(FamilyOf(Member<std::string>(config_, "model_type", "", config_path_), config_path_)) {}

  Graph Read() const {
    TiedPair pair;
    pair.table = FindTable();
    pair.scale = FindScale(pair.table);
    pair.head = FindHead(pair.table);
    pair.bias = FindBias(pair.head);
    return MakePairGraph(pair);
  }

 private:
  const TensorRef& FindTable() const {
    const TensorRef* table =
        FindFirst(tensors_, {"model.shared.weight", "shared.weight", "model.embed_tokens.weight", "embed_tokens.weight",
                             "transformer.wte.weight", "wte.weight", "model.language_model.embed_tokens.weight",
                             "language_model.model.embed_tokens.weight", "model.decoder.embed_tokens.weight",
                             "decoder.embed_tokens.weight", "model.encoder.embed_tokens.weight",
                             "encoder.embed_tokens.weight", "lm_head.weight", "language_model.lm_head.weight"});
    if (table == nullptr) throw ConvertError(path_ + ": no tensor has the name of an embedding");
    CheckMatrix(*table);
    CheckEncoder(*table);
    return *table;
  }

  // Marian may have an embedding for each side (share_encoder_decoder_embeddings).
  void CheckEncoder(const TensorRef& table) const {
    const TensorRef* encoder =
        FindFirst(tensors_, {"model.encoder.embed_tokens.weight", "encoder.embed_tokens.weight"});
    if (encoder == nullptr || encoder->SamePlace(table)) return;
    CheckMatrix(*encoder);
    const bool same_shape = encoder->dims == table.dims;
    if (same_shape && (table.elements() == 0 || SameValues({table}, {*encoder}, [](uint64_t, uint64_t) {}))) return;
    throw ConvertError(path_ + ": the encoder has an embedding of its own: '" + encoder->name + "' is not '" +
                       table.name + "'");
  }

  void CheckMatrix(const TensorRef& tensor) const {
    if (!IsFloat(tensor.type)) {
      throw ConvertError(path_ + ": '" + tensor.name + "' has dtype " + tensor.file_type +
                         "; F32, F16 and BF16 are supported");
    }
    if (tensor.dims.size() != 2) throw ConvertError(path_ + ": '" + tensor.name + "' is no matrix");
  }

  std::optional<float> FindScale(const TensorRef& table) const {
    const bool usual = family_.scale == Family::Scale::kUnlessDenied || family_.scale == Family::Scale::kAlways;
    const bool asked = Member<bool>(config_, "scale_embedding", usual, config_path_);
    const bool decided = family_.scale == Family::Scale::kOne || family_.scale == Family::Scale::kAlways;
    return (decided ? usual : asked) ? std::optional<float>(Root(table)) : std::nullopt;
  }

  // Gemma rounds it to the type that the model is in.
  float Root(const TensorRef& table) const {
    const auto root = static_cast<float>(std::sqrt(static_cast<double>(table.dims[1])));
    if (family_.scale != Family::Scale::kAlways || table.type == ElementType::kFloat32) return root;
    return table.type == ElementType::kFloat16 ? FloatOfHalf(HalfOf(root)) : FloatOfBFloat(BFloatOf(root));
  }

  const TensorRef& FindHead(const TensorRef& table) const {
    const TensorRef* head = FindFirst(tensors_, {"lm_head.weight", "language_model.lm_head.weight"});
    if (head != nullptr) CheckMatrix(*head);
    if (head != nullptr) return *head;
    if (Member<bool>(config_, "tie_word_embeddings", family_.tied, config_path_)) return table;
    throw ConvertError(config_path_ +
                       ": the embedding and the lm_head are not tied: tie_word_embeddings is false, or is where it is "
                       "not given; and there is no 'lm_head.weight' to compare '" +
                       table.name + "' with");
  }

  // A bias that is all zeros is none.
  std::optional<TensorRef> FindBias(const TensorRef& matrix) const {
    const TensorRef* bias = FindFirst(tensors_, {"final_logits_bias", "lm_head.bias"});
    if (bias == nullptr) return std::nullopt;
    if (!IsFloat(bias->type) || bias->elements() != static_cast<uint64_t>(matrix.dims[0])) {
      throw ConvertError(path_ + ": '" + bias->name + "' is not one number for each row of '" + matrix.name + "'");
    }
    const std::vector<float> values = bias->ReadFloats();
    const bool none = std::all_of(values.begin(), values.end(), [](float x) { return x == 0; });
    return none ? std::nullopt : std::optional<TensorRef>(*bias);
  }

  const std::string path_;
  const std::string config_path_;
  const std::map<std::string, TensorRef> tensors_;
  const Json config_;
  const Family& family_;
};

}  // namespace

bool IsSafetensors(const std::string& path) {
  const std::string file = FileOf(path);
  return EndsWith(file, ".safetensors") || EndsWith(file, kIndexEnd);
}

std::map<std::string, TensorRef> ReadSafetensors(const std::string& path) {
  std::map<std::string, TensorRef> tensors;
  for (const std::string& shard : ShardsOf(FileOf(path))) Shard(shard, &tensors).Read();
  return tensors;
}

std::set<std::string> FilesOfSafetensors(const std::string& path) {
  const std::string file = FileOf(path);
  std::set<std::string> files = ShardsOf(file);
  files.insert({file, ConfigOf(file)});
  return files;
}

Graph ReadSafetensorsGraph(const std::string& path) { return PairReader(path).Read(); }

}  // namespace tied::converter
