#include "tests/cli/test_model.h"

#include <tied_generated.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::test {

namespace {

namespace fb = tied::format;

constexpr size_t kAlignment = 65536;
constexpr size_t kPreamble = 32;

std::string Bytes(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

fb::Plane PlaneAt(uint64_t offset, const std::string& bytes) {
  return fb::Plane(offset, bytes.size(), XXH3_64bits(bytes.data(), bytes.size()));
}

template <typename T>
void Append(std::string* file, T value) {
  file->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

size_t Padded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

flatbuffers::Offset<fb::ValueInfo> Value(flatbuffers::FlatBufferBuilder& builder, const char* name, fb::DataType type,
                                         int64_t last_dim, const std::vector<const char*>& symbols) {
  std::vector<flatbuffers::Offset<fb::Dim>> dims;
  for (const char* symbol : symbols) dims.push_back(fb::CreateDimDirect(builder, -1, symbol));
  if (last_dim >= 0) dims.push_back(fb::CreateDimDirect(builder, last_dim));
  return fb::CreateValueInfoDirect(builder, name, type, &dims);
}

flatbuffers::Offset<fb::EntryPoint> EntryPoint(flatbuffers::FlatBufferBuilder& builder, const char* name, bool selector,
                                               const std::vector<flatbuffers::Offset<fb::Op>>& ops) {
  const std::vector<flatbuffers::Offset<fb::Selector>> selectors = {fb::CreateSelector(builder, 2, selector)};
  return fb::CreateEntryPointDirect(builder, name, &selectors, &ops);
}

std::string Header(uint64_t rows, uint64_t cols, float scale, const fb::Plane& values, const fb::Plane& bias) {
  flatbuffers::FlatBufferBuilder builder;
  const int64_t width = static_cast<int64_t>(cols);
  const std::vector<const char*> free = {"batch", "sequence"};
  const std::vector<flatbuffers::Offset<fb::ValueInfo>> inputs = {
      Value(builder, "input_ids", fb::DataType::Int64, -1, free),
      Value(builder, "pre_logits", fb::DataType::Float32, width, free),
      Value(builder, "use_embedding", fb::DataType::Bool, 1, {})};
  const std::vector<flatbuffers::Offset<fb::ValueInfo>> outputs = {
      Value(builder, "embeddings", fb::DataType::Float32, width, free),
      Value(builder, "logits", fb::DataType::Float32, static_cast<int64_t>(rows), free)};
  const std::vector<flatbuffers::Offset<fb::TiedTable>> tables = {
      fb::CreateTiedTableDirect(builder, "shared.weight", fb::DataType::Float32, rows, cols, &values)};

  const fb::OutputDim batch(fb::DimRule::InputDim, 0), sequence(fb::DimRule::InputDim, 1);
  const std::vector<fb::OutputDim> embedded = {batch, sequence, fb::OutputDim(fb::DimRule::Constant, width)};
  const std::vector<fb::OutputDim> scored = {batch, sequence, fb::OutputDim(fb::DimRule::Infer, 0)};
  const std::vector<fb::OutputDim> empty = {fb::OutputDim(fb::DimRule::Constant, 0)};
  const auto gather = fb::CreateGather(builder, 0, scale).Union();
  const auto matmul = fb::CreateMatMul(builder, 0, &bias).Union();
  const auto nothing = fb::CreateConstant(builder).Union();
  const auto op = [&](fb::Operation kind, flatbuffers::Offset<void> operation, uint32_t input, uint32_t output,
                      const std::vector<fb::OutputDim>& dims) {
    return fb::CreateOpDirect(builder, kind, operation, input, output, &dims);
  };
  const std::vector<flatbuffers::Offset<fb::EntryPoint>> entry_points = {
      EntryPoint(
          builder, "embed", true,
          {op(fb::Operation::Gather, gather, 0, 0, embedded), op(fb::Operation::Constant, nothing, 0, 1, empty)}),
      EntryPoint(builder, "head", false,
                 {op(fb::Operation::MatMul, matmul, 1, 1, scored), op(fb::Operation::Constant, nothing, 0, 0, empty)})};
  fb::FinishHeaderBuffer(builder, fb::CreateHeaderDirect(builder, "cli_test", "test.onnx", "main_graph", &inputs,
                                                         &outputs, &tables, &entry_points));
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
}

}  // namespace

TestModel::TestModel(size_t rows, size_t cols) : rows_(rows), cols_(cols) {
  for (size_t i = 0; i < rows * cols; ++i) values_.push_back(static_cast<float>((i * 37 + i / 11) % 29) / 8 - 1.5f);
  for (size_t i = 0; i < rows; ++i) bias_.push_back(static_cast<float>(i % 5) / 8);
}

std::vector<float> TestModel::Embed(const std::vector<int64_t>& ids) const {
  std::vector<float> result;
  for (const int64_t id : ids) {
    for (size_t c = 0; c < cols_; ++c) result.push_back(Value(static_cast<size_t>(id), c) * scale());
  }
  return result;
}

std::vector<float> TestModel::Logits(const std::vector<float>& hidden) const {
  std::vector<float> result;
  for (size_t t = 0; t < hidden.size() / cols_; ++t) {
    for (size_t r = 0; r < rows_; ++r) {
      float sum = Bias(r);
      for (size_t c = 0; c < cols_; ++c) sum += Value(r, c) * hidden[t * cols_ + c];
      result.push_back(sum);
    }
  }
  return result;
}

std::string TestModel::File() const {
  const std::string planes[] = {Bytes(values_), Bytes(bias_)};
  const uint64_t bias_offset = kAlignment + Padded(planes[0].size());
  const std::string header =
      Header(rows_, cols_, scale(), PlaneAt(kAlignment, planes[0]), PlaneAt(bias_offset, planes[1]));

  std::string file("\x89TIED\r\n\x1A", 8);
  Append(&file, uint32_t{1});
  Append(&file, static_cast<uint32_t>(header.size()));
  Append(&file, static_cast<uint64_t>(bias_offset + planes[1].size()));
  const std::string hashed = file + header;
  Append(&file, static_cast<uint64_t>(XXH3_64bits(hashed.data(), hashed.size())));
  file.resize(kPreamble);
  file += header;
  file.resize(kAlignment);
  file += planes[0];
  file.resize(bias_offset);
  return file + planes[1];
}

std::vector<float> ExactHidden(size_t count) {
  std::vector<float> hidden;
  for (size_t i = 0; i < count; ++i) hidden.push_back(static_cast<float>((i * 13 + i / 7) % 17) / 8 - 1.0f);
  return hidden;
}

}  // namespace tied::test
