// tied_run() with the names of the graph.
#include <cmath>
#include <string>

#include "tests/runtime/model_fixture.h"
#include "tests/support/quantised_table.h"

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

// The output that an entry point does not make is one number in each place of a shape that follows from an input.
TEST_F(Run, ConstantsMayBeOneElementOfAnyShape) {
  TiedFile file = model_.MakeFile();
  format::OpT& op = *file.header.entry_points[0]->ops[1];
  const float number = 1.5f;
  op.operation.AsConstant()->data.resize(sizeof number);
  std::memcpy(op.operation.AsConstant()->data.data(), &number, sizeof number);
  op.input = 0;
  op.output_dims = {format::OutputDim(format::DimRule::InputDim, 1), format::OutputDim(format::DimRule::Constant, 2)};
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const SessionPtr session = MakeSession(open.get(), 1);
  std::vector<int64_t> ids = {3, 18, 0};
  tied_tensor input = Tensor("input_ids", TIED_INT64, {1, 3}, ids);
  tied_tensor output = Output("logits", logits_);
  ASSERT_EQ(tied_run(session.get(), "embed", &input, 1, &output, 1, &error_), TIED_OK) << error_.message;
  EXPECT_EQ(output.rank, 2u);
  EXPECT_EQ(output.dims[0], 3);
  EXPECT_EQ(output.bytes, 6 * sizeof number);
  EXPECT_EQ(std::vector<float>(logits_.begin(), logits_.begin() + 6), std::vector<float>(6, number));
  EXPECT_EQ(tied_run(session.get(), "embed", nullptr, 0, &output, 1, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_NE(std::string(error_.message).find("input 'input_ids' is missing"), std::string::npos) << error_.message;
}

class RunFullTopk : public Run {
 protected:
  // The entry point "head" gets one output for each of `results`.
  ModelPtr Open(const std::vector<format::HeadT>& results) {
    TiedFile file = model_.MakeFile();
    format::EntryPointT& head = *file.header.entry_points[1];
    const format::Plane bias = *head.ops[0]->operation.AsHead()->bias;
    const std::vector<format::OutputDim> dims = {format::OutputDim(format::DimRule::InputDim, 0),
                                                 format::OutputDim(format::DimRule::Infer, 0)};
    file.header.entry_points.erase(file.header.entry_points.begin());
    head.ops.clear();
    file.header.outputs.clear();
    for (size_t i = 0; i < results.size(); ++i) {
      const bool ids = results[i].result == format::HeadResult::TopkIds;
      file.header.outputs.push_back(std::make_unique<format::ValueInfoT>());
      file.header.outputs[i]->name = "output_" + std::to_string(i);
      file.header.outputs[i]->type = ids ? format::DataType::Int64 : format::DataType::Float32;
      head.ops.push_back(std::make_unique<format::OpT>());
      head.ops[i]->input = 1;
      head.ops[i]->output = static_cast<uint32_t>(i);
      head.ops[i]->output_dims = dims;
      format::HeadT result = results[i];
      result.bias = std::make_unique<format::Plane>(bias);
      head.ops[i]->operation.Set(std::move(result));
    }
    bytes_ = file.Bytes();
    return OpenMemory(bytes_);
  }

  static format::HeadT Result(format::HeadResult result, uint32_t k, bool log_softmax = false) {
    format::HeadT head;
    head.result = result;
    head.k = k;
    head.log_softmax = log_softmax;
    return head;
  }

  std::string bytes_;
};

TEST_F(RunFullTopk, GivesWhatTheTypedCallsGive) {
  using Kind = format::HeadResult;
  const ModelPtr open =
      Open({Result(Kind::TopkIds, 3), Result(Kind::TopkValues, 3), Result(Kind::TopkIds, 1),
            Result(Kind::TopkValues, 3, true), Result(Kind::TopkIds, 3), Result(Kind::Logits, 0, true)});
  const SessionPtr session = MakeSession(open.get(), 2);
  std::vector<int64_t> best(6), only(2), again(6), wanted_ids(6);
  std::vector<float> values(6), log_values(6), log_softmax(38), wanted_values(6);
  std::vector<double> log_z(2);
  const tied_tensor hidden = Hidden();
  tied_tensor outputs[] = {Tensor("output_0", 0, {}, best),  Tensor("output_1", 0, {}, values),
                           Tensor("output_2", 0, {}, only),  Tensor("output_3", 0, {}, log_values),
                           Tensor("output_4", 0, {}, again), Tensor("output_5", 0, {}, log_softmax)};
  ASSERT_EQ(tied_run(session.get(), "head", &hidden, 1, outputs, 6, &error_), TIED_OK) << error_.message;
  EXPECT_EQ(outputs[0].type, TIED_INT64);
  EXPECT_EQ(Dims(outputs[0]), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(Dims(outputs[2]), (std::vector<int64_t>{2, 1}));

  const tied_topk_result wanted = {wanted_ids.data(), wanted_values.data(), log_z.data(), nullptr, nullptr, nullptr};
  ASSERT_EQ(tied_topk_with(session.get(), hidden_.data(), 2, 3, nullptr, &wanted, &error_), TIED_OK);
  EXPECT_EQ(best, wanted_ids);
  EXPECT_EQ(again, wanted_ids);
  EXPECT_EQ(values, wanted_values);
  EXPECT_EQ(only, (std::vector<int64_t>{wanted_ids[0], wanted_ids[3]}));
  const std::vector<float> logits = model_.Logits(hidden_);
  for (size_t t = 0; t < 2; ++t) {
    double sum = 0;
    for (size_t r = 0; r < 19; ++r) sum += std::exp(static_cast<double>(logits[t * 19 + r]));
    EXPECT_NEAR(log_z[t], std::log(sum), 1e-12);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(log_values[t * 3 + i], static_cast<float>(static_cast<double>(values[t * 3 + i]) - log_z[t]));
    }
    for (size_t r = 0; r < 19; ++r) {
      EXPECT_EQ(log_softmax[t * 19 + r], static_cast<float>(static_cast<double>(logits[t * 19 + r]) - log_z[t]));
    }
  }
}

TEST_F(RunFullTopk, HiddenThatIsNotFiniteIsRefused) {
  const ModelPtr open = Open({Result(format::HeadResult::Logits, 0), Result(format::HeadResult::TopkIds, 3)});
  std::vector<int64_t> ids(6, -7);
  hidden_[7] = NAN;
  const tied_tensor hidden = Hidden();
  tied_tensor outputs[] = {Tensor("output_0", 0, {}, logits_), Tensor("output_1", 0, {}, ids)};
  EXPECT_EQ(tied_run(MakeSession(open.get(), 1).get(), "head", &hidden, 1, outputs, 2, &error_), TIED_NOT_FINITE);
  EXPECT_EQ(ids, std::vector<int64_t>(6, -7));
  EXPECT_EQ(logits_, std::vector<float>(38, -7.0f));
}

TEST_F(RunFullTopk, FindsNothingForNoTokens) {
  const ModelPtr open = Open({Result(format::HeadResult::TopkIds, 3)});
  std::vector<int64_t> ids(6, -7);
  tied_tensor hidden = Hidden();
  hidden.dims[0] = 0;
  tied_tensor output = Tensor("output_0", 0, {}, ids);
  EXPECT_EQ(tied_run(MakeSession(open.get(), 1).get(), "head", &hidden, 1, &output, 1, &error_), TIED_OK);
  EXPECT_EQ(ids, std::vector<int64_t>(6, -7));
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
  const tied_tensor ids = Ids();
  tied_tensor output = Output("states", embeddings_);
  EXPECT_EQ(tied_run(session_.get(), "embed", &ids, 1, &output, 1, &error_), TIED_NOT_FOUND);
  EXPECT_NE(std::string(error_.message).find("'states'"), std::string::npos) << error_.message;
}

TEST_F(Run, SelectorsMustBeThereAndAgree) {
  ExpectRefused(TIED_INVALID_ARGUMENT, "use_embedding", nullptr, {Ids(), Hidden()});
  ExpectRefused(TIED_INVALID_ARGUMENT, "use_embedding", "head", {Hidden(), Selector(true)});
  tied_tensor wrong = Selector(true);
  wrong.type = TIED_INT64;
  ExpectRefused(TIED_INVALID_ARGUMENT, "use_embedding", nullptr, {Ids(), wrong});
  TiedFile file = model_.MakeFile();
  file.header.entry_points.pop_back();
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const tied_tensor selector = Selector(false);
  EXPECT_EQ(tied_run(MakeSession(open.get(), 1).get(), nullptr, &selector, 1, nullptr, 0, &error_),
            TIED_INVALID_ARGUMENT);
  EXPECT_NE(std::string(error_.message).find("match no entry point"), std::string::npos) << error_.message;
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

// Such inputs are refused without being read.
TEST_F(Run, SizesThatWrapAreRefused) {
  const struct {
    size_t cols;
    const char* entry_point;
    size_t count;
    const char* words;
  } cases[] = {{6, "embed", SIZE_MAX / 8, "'embeddings' is too large for the address space"},
               {16, "embed", SIZE_MAX / 8, "'input_ids' has too many elements"},
               {1, "head", SIZE_MAX / 4, "'pre_logits' has too many elements"}};
  for (const auto& c : cases) {
    const std::string file = TestModel(19, c.cols).File();
    const ModelPtr open = OpenMemory(file);
    const bool embed = c.entry_point == std::string("embed");
    tied_tensor input = embed ? Ids() : Hidden();
    input.dims[0] = static_cast<int64_t>(c.count);
    input.dims[1] = input.dims[2] = 1;
    input.bytes = c.count * (embed ? sizeof(int64_t) : sizeof(float));
    tied_tensor output = Output(embed ? "embeddings" : "logits", logits_);
    EXPECT_EQ(tied_run(MakeSession(open.get(), 1).get(), c.entry_point, &input, 1, &output, 1, &error_),
              TIED_INVALID_ARGUMENT);
    EXPECT_NE(std::string(error_.message).find(c.words), std::string::npos) << error_.message;
  }
}

TEST_F(Run, MessagesAreCutOffBetweenCharacters) {
  for (const std::string shift : {"", "a"}) {
    std::string name = shift;
    for (int i = 0; i < 600; ++i) name += "é";
    ASSERT_EQ(tied_run(session_.get(), name.c_str(), nullptr, 0, nullptr, 0, &error_), TIED_NOT_FOUND);
    const std::string message = error_.message;
    EXPECT_EQ(message.substr(message.size() - 2), "é");
  }
}

TEST_F(Run, AFailingIdLeavesEveryOutputAsItWas) {
  ids_[3] = 19;
  ExpectRefused(TIED_OUT_OF_RANGE, "19", "embed", {Ids()});
}

TEST_F(Run, OutputsThatAreTooSmallAreRefused) {
  logits_.resize(37, -7.0f);
  ExpectRefused(TIED_BUFFER_TOO_SMALL, "logits", "head", {Hidden()});
}

// 64 tokens of one column and one token of 4096 columns take the same number of bytes packed, but not unpacked.
TEST(RunTables, ASessionRunsOneWithFewColumnsThenOneWithMany) {
  constexpr size_t kRows = 5, kWide = 4096, kTokens = 64;
  const TestModel model(kRows, 1);
  TiedFile file = model.MakeFile();
  std::vector<float> wide(kRows * kWide, 0.5f), narrow(kRows, 1.0f);
  StoreTable(&file, {format::DataType::Int8}, kRows, kWide, &wide);
  std::unique_ptr<format::TiedTableT> second = std::move(file.header.tables[0]);
  StoreTable(&file, {format::DataType::Int8}, kRows, 1, &narrow);
  second->name = "wide";
  file.header.tables.push_back(std::move(second));
  format::OpT& op = *file.header.entry_points[1]->ops[1];
  op.input = static_cast<uint32_t>(file.header.inputs.size());
  op.operation.Set(format::HeadT());
  op.operation.AsHead()->table = 1;
  op.output_dims = {format::OutputDim(format::DimRule::Infer, 0)};
  file.header.inputs.push_back(std::make_unique<format::ValueInfoT>(*file.header.inputs[1]));
  file.header.inputs.back()->name = "wide_hidden";
  file.header.inputs.back()->dims[2]->size = kWide;
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const SessionPtr session = MakeSession(open.get(), 1);
  const auto run = [&](const char* input_name, int64_t tokens, int64_t cols, const char* output_name) {
    std::vector<float> hidden(static_cast<size_t>(tokens * cols), 1.0f), logits(static_cast<size_t>(tokens) * kRows);
    const size_t size = hidden.size() * sizeof(float);
    const tied_tensor input = {input_name, TIED_FLOAT32, 3, {1, tokens, cols}, hidden.data(), size};
    tied_tensor output = {output_name, 0, 0, {}, logits.data(), logits.size() * sizeof(float)};
    tied_error error = {};
    EXPECT_EQ(tied_run(session.get(), "head", &input, 1, &output, 1, &error), TIED_OK) << error.message;
    return logits;
  };
  EXPECT_NEAR(run("pre_logits", kTokens, 1, "logits")[0], 1 + model.Bias(0), 1e-3);
  for (const float logit : run("wide_hidden", 1, kWide, "embeddings")) EXPECT_NEAR(logit, kWide / 2, 1);
}

}  // namespace
}  // namespace tied::test
