// Small safetensors models, and their conversion.
#ifndef TIED_TESTS_CONVERTER_SAFETENSORS_MODEL_FILES_H_
#define TIED_TESTS_CONVERTER_SAFETENSORS_MODEL_FILES_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <tied/tied.hpp>
#include <vector>

#include "converter/safetensors/safetensors.h"
#include "tests/converter/conversion.h"

namespace tied::test {

using Json = nlohmann::json;

struct Tensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> dims;
  std::string bytes;
};

std::string Bytes(const std::vector<float>& values);

Tensor TableTensor(const std::string& name);  // Table()
Tensor OtherTable(const std::string& name);   // one value differs
Tensor BiasTensor(const std::string& name = "final_logits_bias");

// Writes the tensors one after the other, without holes.
void SaveShard(const std::string& path, const std::vector<Tensor>& tensors);

class SafetensorsTest : public ConversionTest {
 protected:
  // model.safetensors, and config.json unless it is null.
  void SaveModel(const Json& config, const std::vector<Tensor>& tensors) const;

  // Converts to model.tied and compares that with a reference evaluation.
  Model ConvertAndCheck(const std::string& path, const converter::TableChoice& choice = {}) const;
};

// The factor on embeddings.
float ScaleOf(const Model& model);

}  // namespace tied::test

#endif  // TIED_TESTS_CONVERTER_SAFETENSORS_MODEL_FILES_H_
