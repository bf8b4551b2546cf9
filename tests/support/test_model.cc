#include "tests/support/test_model.h"

#include <memory>
#include <utility>

namespace tied::test {

namespace {

namespace fb = tied::format;

std::unique_ptr<fb::ValueInfoT> MakeValue(const char* name, fb::DataType type, int64_t last_dim,
                                          const std::vector<const char*>& symbols) {
  auto value = std::make_unique<fb::ValueInfoT>();
  value->name = name;
  value->type = type;
  for (const char* symbol : symbols) {
    value->dims.push_back(std::make_unique<fb::DimT>());
    value->dims.back()->symbol = symbol;
  }
  if (last_dim >= 0) {
    value->dims.push_back(std::make_unique<fb::DimT>());
    value->dims.back()->size = last_dim;
  }
  return value;
}

template <class Operation>
std::unique_ptr<fb::OpT> Op(Operation operation, uint32_t input, uint32_t output, std::vector<fb::OutputDim> dims) {
  auto op = std::make_unique<fb::OpT>();
  op->operation.Set(std::move(operation));
  op->input = input;
  op->output = output;
  op->output_dims = std::move(dims);
  return op;
}

std::unique_ptr<fb::EntryPointT> EntryPoint(const char* name, bool selected_by, std::unique_ptr<fb::OpT> first,
                                            std::unique_ptr<fb::OpT> second) {
  auto entry_point = std::make_unique<fb::EntryPointT>();
  entry_point->name = name;
  entry_point->selectors.push_back(std::make_unique<fb::SelectorT>());
  entry_point->selectors[0]->input = 2;
  entry_point->selectors[0]->value = selected_by;
  entry_point->ops.push_back(std::move(first));
  entry_point->ops.push_back(std::move(second));
  return entry_point;
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

TiedFile TestModel::MakeFile() const {
  TiedFile file;
  fb::HeaderT& header = file.header;
  header.producer = "cli_test";
  header.source = "test.onnx";
  header.graph = "main_graph";
  const auto width = static_cast<int64_t>(cols_);
  const std::vector<const char*> free = {"batch", "sequence"};
  header.inputs.push_back(MakeValue("input_ids", fb::DataType::Int64, -1, free));
  header.inputs.push_back(MakeValue("pre_logits", fb::DataType::Float32, width, free));
  header.inputs.push_back(MakeValue("use_embedding", fb::DataType::Bool, 1, {}));
  header.outputs.push_back(MakeValue("embeddings", fb::DataType::Float32, width, free));
  header.outputs.push_back(MakeValue("logits", fb::DataType::Float32, static_cast<int64_t>(rows_), free));

  auto table = std::make_unique<fb::TiedTableT>();
  table->name = "shared.weight";
  table->type = fb::DataType::Float32;
  table->rows = rows_;
  table->cols = cols_;
  table->values = std::make_unique<fb::Plane>(file.AddPlane(values_));
  header.tables.push_back(std::move(table));

  fb::EmbeddingT embedding;
  embedding.scale = scale();
  fb::HeadT head;
  head.bias = std::make_unique<fb::Plane>(file.AddPlane(bias_));
  const fb::OutputDim batch(fb::DimRule::InputDim, 0), sequence(fb::DimRule::InputDim, 1);
  const std::vector<fb::OutputDim> nothing = {fb::OutputDim(fb::DimRule::Constant, 0)};
  header.entry_points.push_back(
      EntryPoint("embed", true, Op(embedding, 0, 0, {batch, sequence, fb::OutputDim(fb::DimRule::Constant, width)}),
                 Op(fb::ConstantT(), 0, 1, nothing)));
  header.entry_points.push_back(
      EntryPoint("head", false, Op(std::move(head), 1, 1, {batch, sequence, fb::OutputDim(fb::DimRule::Infer, 0)}),
                 Op(fb::ConstantT(), 0, 0, nothing)));
  header.entry_points[1]->ops[0]->origin = "MatMul lm_head";
  return file;
}

std::vector<float> ExactHidden(size_t count) {
  std::vector<float> hidden;
  for (size_t i = 0; i < count; ++i) hidden.push_back(static_cast<float>((i * 13 + i / 7) % 17) / 8 - 1.0f);
  return hidden;
}

}  // namespace tied::test
