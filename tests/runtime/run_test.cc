// tied_run(): by the names of the graph.
#include <string>

#include "tests/runtime/model_fixture.h"

namespace tied::test {
namespace {

class Run : public testing::Test {
 protected:
  template <class T>
  static tied_tensor Tensor(const char* name, tied_type type, std::vector<int64_t> dims, std::vector<T>& data) {
    tied_tensor tensor = {};
    tensor.name = name;
    tensor.type = type;
    tensor.rank = dims.size();
    std::copy(dims.begin(), dims.end(), tensor.dims);
    tensor.data = data.data();
    tensor.bytes = data.size() * sizeof(T);
    return tensor;
  }

  tied_tensor Ids() { return Tensor("input_ids", TIED_INT64, {2, 2}, ids_); }
  tied_tensor Hidden() { return Tensor("pre_logits", TIED_FLOAT32, {2, 1, 6}, hidden_); }
  tied_tensor Selector(bool embedding) {
    selector_[0] = embedding;
    return Tensor("use_embedding", TIED_BOOL, {1}, selector_);
  }
  static tied_tensor Output(const char* name, std::vector<float>& data) { return Tensor(name, 0, {}, data); }

  // Runs into embeddings_ and logits_.
  tied_status Call(const char* entry_point, const std::vector<tied_tensor>& inputs) {
    outputs_ = {Output("embeddings", embeddings_), Output("logits", logits_)};
    return tied_run(session_.get(), entry_point, inputs.data(), inputs.size(), outputs_.data(), 2, &error_);
  }

  void ExpectRefused(tied_status status, const char* word, const char* entry_point,
                     const std::vector<tied_tensor>& inputs) {
    const std::vector<float> embeddings = embeddings_, logits = logits_;
    EXPECT_EQ(Call(entry_point, inputs), status) << error_.message;
    EXPECT_NE(std::string(error_.message).find(word), std::string::npos) << error_.message;
    EXPECT_EQ(embeddings_, embeddings);
    EXPECT_EQ(logits_, logits);
    EXPECT_EQ(outputs_[0].rank, 0u);
  }

  static std::vector<int64_t> Dims(const tied_tensor& tensor) { return {tensor.dims, tensor.dims + tensor.rank}; }

  const TestModel model_{19, 6};
  const std::string file_ = model_.File();
  const ModelPtr open_ = OpenMemory(file_);
  const SessionPtr session_ = MakeSession(open_.get(), 2);
  std::vector<int64_t> ids_ = {3, 18, 0, 3};
  std::vector<float> hidden_ = ExactHidden(12);
  std::vector<uint8_t> selector_ = {0};
  std::vector<float> embeddings_ = std::vector<float>(24, -7.0f);
  std::vector<float> logits_ = std::vector<float>(38, -7.0f);
  std::vector<tied_tensor> outputs_;
  tied_error error_ = {};
};

TEST_F(Run, TheSelectorChooses) {
  ASSERT_EQ(Call(nullptr, {Ids(), Hidden(), Selector(true)}), TIED_OK) << error_.message;
  EXPECT_EQ(embeddings_, model_.Embed(ids_));
  EXPECT_EQ(Dims(outputs_[0]), (std::vector<int64_t>{2, 2, 6}));
  EXPECT_EQ(outputs_[0].type, TIED_FLOAT32);
  EXPECT_EQ(outputs_[0].bytes, 96u);
  EXPECT_EQ(Dims(outputs_[1]), (std::vector<int64_t>{0}));
  EXPECT_EQ(outputs_[1].bytes, 0u);

  ASSERT_EQ(Call(nullptr, {Ids(), Hidden(), Selector(false)}), TIED_OK) << error_.message;
  EXPECT_EQ(logits_, model_.Logits(hidden_));
  EXPECT_EQ(Dims(outputs_[1]), (std::vector<int64_t>{2, 1, 19}));
  EXPECT_EQ(Dims(outputs_[0]), (std::vector<int64_t>{0}));
}

TEST_F(Run, ANameChoosesWithoutSelectorAndWithoutTheOtherInput) {
  ASSERT_EQ(Call("head", {Hidden()}), TIED_OK) << error_.message;
  EXPECT_EQ(logits_, model_.Logits(hidden_));
  ASSERT_EQ(Call("embed", {Ids(), Selector(true)}), TIED_OK) << error_.message;
  EXPECT_EQ(embeddings_, model_.Embed(ids_));
}

TEST_F(Run, AnOutputWithoutDataGetsItsShapeAndIsNotComputed) {
  std::vector<tied_tensor> outputs(1);
  outputs[0].name = "logits";
  const tied_tensor hidden = Hidden();
  ASSERT_EQ(tied_run(session_.get(), "head", &hidden, 1, outputs.data(), 1, &error_), TIED_OK);
  EXPECT_EQ(outputs[0].bytes, 2u * 19 * 4);
  EXPECT_EQ(outputs[0].data, nullptr);
}

TEST_F(Run, Int32IdsAreRead) {
  TiedFile file = model_.MakeFile();
  file.header.inputs[0]->type = format::DataType::Int32;
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const SessionPtr session = MakeSession(open.get(), 1);
  std::vector<int32_t> ids = {3, 18, 0, 3};
  const tied_tensor input = Tensor("input_ids", TIED_INT32, {1, 4}, ids);
  tied_tensor output = Output("embeddings", embeddings_);
  ASSERT_EQ(tied_run(session.get(), "embed", &input, 1, &output, 1, &error_), TIED_OK) << error_.message;
  EXPECT_EQ(embeddings_, model_.Embed(ids_));
}

TEST_F(Run, ConstantsAreCopied) {
  TiedFile file = model_.MakeFile();
  format::OpT& op = *file.header.entry_points[0]->ops[1];
  const std::vector<float> numbers = {1.5f, -2.0f};
  op.operation.AsConstant()->data.resize(8);
  std::memcpy(op.operation.AsConstant()->data.data(), numbers.data(), 8);
  op.output_dims = {format::OutputDim(format::DimRule::Constant, 2)};
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  tied_tensor output = Output("logits", logits_);
  ASSERT_EQ(tied_run(MakeSession(open.get(), 1).get(), "embed", nullptr, 0, &output, 1, &error_), TIED_OK);
  EXPECT_EQ(std::vector<float>(logits_.begin(), logits_.begin() + 2), numbers);
}

TEST_F(Run, NothingHappensForNoTokens) {
  tied_tensor ids = Ids();
  ids.dims[1] = 0;
  ASSERT_EQ(Call("embed", {ids}), TIED_OK) << error_.message;
  EXPECT_EQ(Dims(outputs_[0]), (std::vector<int64_t>{2, 0, 6}));
  EXPECT_EQ(embeddings_[0], -7.0f);
  tied_tensor hidden = Hidden();
  hidden.dims[0] = 0;
  ASSERT_EQ(Call("head", {hidden}), TIED_OK) << error_.message;
  EXPECT_EQ(logits_[0], -7.0f);
}

TEST_F(Run, NamesThatAreNotInTheGraphAreNotFound) {
  tied_tensor stranger = Ids();
  stranger.name = "ids";
  ExpectRefused(TIED_NOT_FOUND, "ids", "embed", {stranger});
  ExpectRefused(TIED_NOT_FOUND, "nowhere", "nowhere", {Ids()});
}

TEST_F(Run, SelectorsMustBeThereAndAgree) {
  ExpectRefused(TIED_INVALID_ARGUMENT, "use_embedding", nullptr, {Ids(), Hidden()});
  ExpectRefused(TIED_INVALID_ARGUMENT, "use_embedding", "head", {Hidden(), Selector(true)});
  tied_tensor wrong = Selector(true);
  wrong.type = TIED_INT64;
  ExpectRefused(TIED_INVALID_ARGUMENT, "use_embedding", nullptr, {Ids(), wrong});
}

TEST_F(Run, InputsMustFitTheGraph) {
  ExpectRefused(TIED_INVALID_ARGUMENT, "input_ids", "embed", {Hidden()});
  ExpectRefused(TIED_INVALID_ARGUMENT, "twice", "embed", {Ids(), Ids()});
  tied_tensor ids = Ids();
  ids.type = TIED_INT32;
  ExpectRefused(TIED_INVALID_ARGUMENT, "type", "embed", {ids});
  ids = Ids();
  ids.rank = 1;
  ExpectRefused(TIED_INVALID_ARGUMENT, "dimensions", "embed", {ids});
  ids = Ids();
  ids.bytes -= 1;
  ExpectRefused(TIED_INVALID_ARGUMENT, "bytes", "embed", {ids});
  ids = Ids();
  ids.dims[0] = -2;
  ExpectRefused(TIED_INVALID_ARGUMENT, "dimension", "embed", {ids});
  ids = Ids();
  ids.dims[0] = ids.dims[1] = INT64_MAX;
  ExpectRefused(TIED_INVALID_ARGUMENT, "dimension", "embed", {ids});
  ids = Ids();
  ids.data = nullptr;
  ExpectRefused(TIED_INVALID_ARGUMENT, "buffer", "embed", {ids});
  tied_tensor hidden = Hidden();
  hidden.dims[2] = 5;
  ExpectRefused(TIED_INVALID_ARGUMENT, "pre_logits", "head", {hidden});
}

TEST_F(Run, AFailingIdLeavesEveryOutputAsItWas) {
  ids_[3] = 19;
  ExpectRefused(TIED_OUT_OF_RANGE, "19", "embed", {Ids()});
}

TEST_F(Run, OutputsThatAreTooSmallAreRefused) {
  logits_.resize(37, -7.0f);
  ExpectRefused(TIED_BUFFER_TOO_SMALL, "logits", "head", {Hidden()});
}

}  // namespace
}  // namespace tied::test
