#include "tests/converter/safetensors/model_files.h"

#include <fstream>

#include "converter/convert.h"

namespace tied::test {

std::string Bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

Tensor TableTensor(const std::string& name) { return {name, "F32", {kRows, kCols}, Bytes(Table())}; }
Tensor OtherTable(const std::string& name) {
  Tensor tensor = TableTensor(name);
  tensor.bytes[5] = static_cast<char>(tensor.bytes[5] ^ 1);
  return tensor;
}
Tensor BiasTensor(const std::string& name) { return {name, "F32", {1, kRows}, Bytes(Bias())}; }

void SaveShard(const std::string& path, const std::vector<Tensor>& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const Tensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.dims},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::ofstream(path, std::ios::binary) << std::string(reinterpret_cast<const char*>(&length), 8) << text << data;
}

void SafetensorsTest::SaveModel(const Json& config, const std::vector<Tensor>& tensors) const {
  SaveShard(Path("model.safetensors"), tensors);
  if (!config.is_null()) std::ofstream(Path("config.json")) << config;
}

Model SafetensorsTest::ConvertAndCheck(const std::string& path, const converter::TableChoice& choice) const {
  converter::ConvertOptions options;
  options.model = path;
  options.choice = choice;
  options.output = Path("model.tied");
  options.tables.format = converter::NumberFormat::kFloat32;
  options.tables.check = true;
  ExpectPassed(*converter::Convert(options).check);
  return Model::Open(Path("model.tied"));
}

float ScaleOf(const Model& model) {
  Session session(model);
  return session.Embed(std::vector<int64_t>{5})[1] / Table()[5 * kCols + 1];
}

}  // namespace tied::test
