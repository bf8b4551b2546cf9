#include "converter/safetensors/config.h"

#include <cmath>
#include <filesystem>

#include "base/beside.h"
#include "converter/safetensors/reader.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

constexpr char kTied[] = "tie_word_embeddings";
constexpr char kModelType[] = "model_type";

float Rounded(double value, ElementType type) {
  const auto number = static_cast<float>(value);
  if (type == ElementType::kFloat16) return FloatOfHalf(HalfOf(number));
  return type == ElementType::kBFloat16 ? FloatOfBFloat(BFloatOf(number)) : number;
}

}  // namespace

Config::Config(const std::string& model) : path_(ConfigPathOf(model)) {
  std::error_code error;
  exists_ = std::filesystem::exists(path_, error);
  if (error) throw ConvertError(path_ + ": " + error.message());
  if (!exists_) return;
  (void)FileBeside(model, "config.json", path_ + ": file");
  values_ = ReadJson(path_);
  for (const char* part : {"thinker_config", "decoder", "decoder_config", "text_config"}) TakePart(part);
  model_type_ = Member<std::string>(values_, kModelType, "", path_);
  family_ = FindFamily(model_type_);
}

// Either part may set tie_word_embeddings. If its model_type is unknown, the outer one stays.
void Config::TakePart(const char* name) {
  const auto found = values_.find(name);
  if (found == values_.end() || !found->is_object()) return;
  Json part = *found;
  const std::string type = Member<std::string>(part, kModelType, "", path_);
  const bool outside_known = FindFamily(Member<std::string>(values_, kModelType, "", path_)) != nullptr;
  if (FindFamily(type) == nullptr && outside_known) part.erase(kModelType);
  if (Member<bool>(values_, kTied, false, path_)) part[kTied] = true;
  values_.update(part);
}

std::optional<bool> Config::tied() const {
  if (!values_.contains(kTied) || values_[kTied].is_null()) return std::nullopt;
  return Member<bool>(values_, kTied, false, path_);
}

std::optional<int64_t> Config::vocabulary() const {
  const auto size = Member<int64_t>(values_, "vocab_size", 0, path_);
  return size > 0 ? std::optional<int64_t>(size) : std::nullopt;
}

double Config::Evaluate(const Factor& factor, int64_t cols, ElementType type) const {
  const double root = std::sqrt(static_cast<double>(cols));
  switch (factor.kind) {
    case Factor::Kind::kOne:
      break;
    case Factor::Kind::kRoot:
      return root;
    case Factor::Kind::kRootIf:
      return Member<bool>(values_, factor.key, factor.otherwise != 0, path_) ? root : 1;
    case Factor::Kind::kRootAsTable:
      return static_cast<double>(Rounded(root, type));
    case Factor::Kind::kRootAsBFloat16:
      return static_cast<double>(Rounded(root, ElementType::kBFloat16));
    case Factor::Kind::kInverseRootIfTied:
      return tied().value_or(family_->tied) ? 1 / root : 1;
    case Factor::Kind::kTimes:
      // null is a number that is not wanted.
      if (values_.contains(factor.key) && values_[factor.key].is_null()) return 0;
      return Member<double>(values_, factor.key, factor.otherwise, path_);
    case Factor::Kind::kOver:
      return 1 / Member<double>(values_, factor.key, factor.otherwise, path_);
  }
  return 1;
}

}  // namespace tied::converter
