// config.json: the family of a model, and the numbers that its code reads.
#ifndef TIED_CONVERTER_SAFETENSORS_CONFIG_H_
#define TIED_CONVERTER_SAFETENSORS_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "converter/graph/tensor_ref.h"
#include "converter/safetensors/families.h"
#include "converter/safetensors/json.h"

namespace tied::converter {

class Config {
 public:
  // Reads the config.json beside the file `model`. If the model has several parts, the description of its text part
  // takes precedence. Throws ConvertError if the file is invalid; if it is missing, model_type is empty.
  explicit Config(const std::string& model);

  const std::string& path() const { return path_; }
  bool exists() const { return exists_; }
  const std::string& model_type() const { return model_type_; }
  const Family* family() const { return family_; }  // null if it is unknown

  // True if embedding and head are tied; nullopt if config.json does not say.
  std::optional<bool> tied() const;

  // Vocabulary size of the table; nullopt if config.json does not say.
  std::optional<int64_t> vocabulary() const;

  // The value of a factor for a table with `cols` columns and elements of that type.
  double Evaluate(const Factor& factor, int64_t cols, ElementType type) const;

 private:
  void TakePart(const char* name);

  const std::string path_;
  bool exists_ = false;
  Json values_ = Json::object();
  std::string model_type_;
  const Family* family_ = nullptr;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_CONFIG_H_
