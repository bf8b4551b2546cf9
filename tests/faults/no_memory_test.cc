// Makes every allocation of every call fail in turn, alone or with all that follow. The call must report it and change
// nothing, the session must work afterwards, and nothing may stay allocated.
#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <map>

#include "tests/faults/failing_memory.h"
#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr uint64_t kMostAllocations = 300;
constexpr size_t kRows = 600;
constexpr size_t kCols = 40;
constexpr size_t kTokens = 3;
constexpr size_t kBest = 5;

// Calls with_failure(number of the failing allocation, whether only that one fails) until no allocation fails.
void ForEveryAllocation(const std::function<void(uint64_t, bool)>& with_failure, bool only_single_ones = false) {
  for (const bool only_one : {true, false}) {
    if (only_single_ones && !only_one) return;
    uint64_t number = 0;
    do {
      SCOPED_TRACE("allocation " + std::to_string(number) + (only_one ? "" : " and all that follow"));
      ASSERT_LT(number, kMostAllocations);
      with_failure(number++, only_one);
    } while (FailingMemory::Failed() && !testing::Test::HasFailure());
  }
}

std::string MakeModelFile(const TableForm& form) {
  RandomModel model(kRows, kCols);
  TiedFile file = model.MakeFile();
  StoreTable(&file, form, kRows, kCols, &model.values());
  format::EntryPointT& head = *file.header.entry_points[1];
  // A top-k of log-probabilities replaces the empty constant.
  format::HeadT values = *head.ops[0]->operation.AsHead();
  values.result = format::HeadResult::TopkValues;
  values.k = kBest;
  values.log_softmax = true;
  head.ops[1]->operation.Set(std::move(values));
  head.ops[1]->input = 1;
  head.ops[1]->output_dims = head.ops[0]->output_dims;
  file.header.outputs[0]->dims[2]->size = -1;
  return file.Bytes();
}

const std::string& ModelFile(const TableForm& form) {
  static std::map<std::string, std::string> files;
  std::string& file = files[testing::PrintToString(form)];
  if (file.empty()) file = MakeModelFile(form);
  return file;
}

// Buffers for the outputs of a call.
struct Outputs {
  std::vector<float> floats = std::vector<float>(kTokens * kRows, -7.0f);
  std::vector<float> more = std::vector<float>(kTokens * kBest, -7.0f);
  std::vector<int64_t> ids = std::vector<int64_t>(kTokens * kBest, -7);
  std::vector<double> log_z = std::vector<double>(kTokens, -7.0);
  std::vector<double> log_z_bound = std::vector<double>(kTokens, -7.0);

  bool operator==(const Outputs& other) const {
    return floats == other.floats && more == other.more && ids == other.ids && log_z == other.log_z &&
           log_z_bound == other.log_z_bound;
  }
};

const std::vector<float> kHidden = MakeNumbers(Numbers::kNormal, kTokens* kCols, 2);
const std::vector<int64_t> kIds = {3, 599, 0, 3, 77};
const std::vector<uint8_t> kAllowed(kRows / 8, 0x5D);

tied_status TopkWith(tied_session* session, tied_topk_options options, bool with_log_z, Outputs* outputs,
                     tied_error* error) {
  options.log_z_tolerance = 0.01;
  const tied_topk_result result = {outputs->ids.data(),
                                   outputs->more.data(),
                                   with_log_z ? outputs->log_z.data() : nullptr,
                                   with_log_z ? outputs->log_z_bound.data() : nullptr,
                                   nullptr,
                                   nullptr};
  return tied_topk_with(session, kHidden.data(), kTokens, kBest, &options, &result, error);
}

tied_tensor Tensor(const char* name, tied_type type, std::initializer_list<int64_t> dims, const void* data,
                   size_t bytes) {
  tied_tensor tensor = {name, type, dims.size(), {}, const_cast<void*>(data), bytes};
  std::copy(dims.begin(), dims.end(), tensor.dims);
  return tensor;
}

struct Case {
  const char* name;
  TableForm form;
  bool deterministic;
  tied_status (*call)(tied_session*, Outputs*, tied_error*);
};

constexpr TableForm kPlain = {format::DataType::Float32};
constexpr TableForm kScreened = {format::DataType::Float32, false, false, true};
constexpr TableForm kBytes = {format::DataType::Int8};

tied_status Logits(tied_session* session, Outputs* outputs, tied_error* error) {
  return tied_logits(session, kHidden.data(), kTokens, outputs->floats.data(), outputs->floats.size(), error);
}

const Case kCases[] = {
    {"Embed", kPlain, true,
     [](auto* session, auto* outputs, auto* error) {
       return tied_embed(session, kIds.data(), kIds.size(), outputs->floats.data(), outputs->floats.size(), error);
     }},
    {"Logits", kPlain, true, Logits},
    {"LogitsXnnpack", kPlain, false, Logits},
    {"LogitsXnnpackWidened", {format::DataType::BFloat16}, false, Logits},
    {"LogitsOfBytes", kBytes, true, Logits},
    {"LogitsOf", kPlain, true,
     [](auto* session, auto* outputs, auto* error) {
       return tied_logits_of(session, kHidden.data(), kTokens, kIds.data(), kIds.size(), outputs->floats.data(),
                             outputs->floats.size(), error);
     }},
    {"LogitsAllowed", kPlain, true,
     [](auto* session, auto* outputs, auto* error) {
       return tied_logits_allowed(session, kHidden.data(), kTokens, kAllowed.data(), kAllowed.size(),
                                  outputs->floats.data(), outputs->floats.size(), error);
     }},
    {"Argmax", kPlain, true,
     [](auto* session, auto* outputs, auto* error) {
       return tied_argmax(session, kHidden.data(), kTokens, outputs->ids.data(), outputs->more.data(), error);
     }},
    {"Topk", kPlain, true,
     [](auto* session, auto* outputs, auto* error) {
       return tied_topk(session, kHidden.data(), kTokens, kBest, outputs->ids.data(), outputs->more.data(), error);
     }},
    {"TopkOfBytes", kBytes, true,
     [](auto* session, auto* outputs, auto* error) {
       return TopkWith(session, TIED_TOPK_OPTIONS_INIT, true, outputs, error);
     }},
    {"TopkScreened", kScreened, true,
     [](auto* session, auto* outputs, auto* error) {
       return TopkWith(session, TIED_TOPK_OPTIONS_INIT, false, outputs, error);
     }},
    {"TopkScreenedLogZ", kScreened, true,
     [](auto* session, auto* outputs, auto* error) {
       return TopkWith(session, TIED_TOPK_OPTIONS_INIT, true, outputs, error);
     }},
    {"TopkRowIds", kScreened, true,
     [](auto* session, auto* outputs, auto* error) {
       tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
       options.row_ids = kIds.data();
       options.row_count = kIds.size();
       const tied_topk_result result = {outputs->ids.data(), outputs->more.data(), nullptr, nullptr, nullptr, nullptr};
       return tied_topk_with(session, kHidden.data(), kTokens, 2, &options, &result, error);
     }},
    {"TopkBitmap", kScreened, true,
     [](auto* session, auto* outputs, auto* error) {
       tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
       options.allowed = kAllowed.data();
       options.allowed_bytes = kAllowed.size();
       return TopkWith(session, options, true, outputs, error);
     }},
    {"BeamStep", kScreened, true,
     [](auto* session, auto* outputs, auto* error) {
       int32_t parents[kTokens];
       const double scores[kTokens] = {-1, -2, -3};
       return tied_beam_step(session, kHidden.data(), scores, kTokens, kTokens, nullptr, parents, outputs->ids.data(),
                             outputs->log_z.data(), error);
     }},
    {"Run", kPlain, true,
     [](auto* session, auto* outputs, auto* error) {
       const tied_tensor input =
           Tensor("pre_logits", TIED_FLOAT32, {1, kTokens, kCols}, kHidden.data(), kHidden.size() * sizeof(float));
       tied_tensor results[] = {
           Tensor("logits", 0, {}, outputs->floats.data(), outputs->floats.size() * sizeof(float)),
           Tensor("embeddings", 0, {}, outputs->more.data(), outputs->more.size() * sizeof(float))};
       return tied_run(session, "head", &input, 1, results, 2, error);
     }},
};

class NoMemory : public testing::TestWithParam<std::tuple<size_t, int>> {
 protected:
  const Case& test_case() const { return kCases[std::get<0>(GetParam())]; }
  int threads() const { return std::get<1>(GetParam()); }

  SessionPtr NewSession(bool deterministic) const {
    tied_session_options options = TIED_SESSION_OPTIONS_INIT;
    options.threads = threads();
    options.deterministic = deterministic;
    options.xnnpack_min_tokens = 1;
    tied_session* session = nullptr;
    EXPECT_EQ(tied_session_create(model_.get(), &options, &session, nullptr), TIED_OK);
    return SessionPtr(session);
  }

  Outputs Expected(bool deterministic) const {
    Outputs outputs;
    tied_error error = {};
    EXPECT_EQ(test_case().call(NewSession(deterministic).get(), &outputs, &error), TIED_OK) << error.message;
    return outputs;
  }

  const ModelPtr model_ = OpenMemory(ModelFile(test_case().form));
};

TEST_P(NoMemory, FailsCleanlyAndTheSessionWorksAfterwards) {
  const Outputs expected = Expected(test_case().deterministic);
  const Outputs plain = Expected(true);  // if memory is too short for XNNPACK, the kernels may run instead
  const Outputs untouched;
  EXPECT_FALSE(expected == untouched);
  ForEveryAllocation(
      [&](uint64_t number, bool only_one) {
        const int64_t live = LiveAllocations();
        {
          const SessionPtr session = NewSession(test_case().deterministic);
          Outputs outputs;
          tied_error error = {};
          FailingMemory memory(number, only_one);
          const tied_status status = test_case().call(session.get(), &outputs, &error);
          memory.Stop();
          if (status == TIED_OK) {
            EXPECT_TRUE(outputs == expected || (memory.Failed() && outputs == plain));
          } else {
            EXPECT_TRUE(memory.Failed());
            EXPECT_EQ(status, TIED_OUT_OF_MEMORY) << error.message;
            EXPECT_EQ(error.status, TIED_OUT_OF_MEMORY);
            EXPECT_STRNE(error.message, "");
            EXPECT_TRUE(outputs == untouched);
          }
          Outputs again;
          EXPECT_EQ(test_case().call(session.get(), &again, &error), TIED_OK) << error.message;
          EXPECT_TRUE(again == expected);
        }
        EXPECT_EQ(LiveAllocations(), live);
      },
      threads() > 1);
}

INSTANTIATE_TEST_SUITE_P(Calls, NoMemory,
                         testing::Combine(testing::Range<size_t>(0, std::size(kCases)), testing::Values(1, 2)),
                         [](const auto& test) {
                           return kCases[std::get<0>(test.param)].name + std::to_string(std::get<1>(test.param));
                         });

class NoMemoryToOpen : public testing::TestWithParam<std::tuple<std::string, bool>> {
 protected:
  tied_status Open(tied_model** model, tied_error* error) const {
    const auto& [way, verify] = GetParam();
    tied_open_options options = TIED_OPEN_OPTIONS_INIT;
    options.verify_planes = verify;
    options.copy = way.find("Copy") != std::string::npos;
    if (way == "Memory") return tied_model_open_memory(file_.data(), file_.size(), &options, model, error);
    if (way[0] == 'P') return tied_model_open(path_.c_str(), &options, model, error);
    return tied_model_open_fd(descriptor_, 0, 0, &options, model, error);
  }

  const std::string& file_ = ModelFile(kScreened);
  const TemporaryFolder folder_;
  const std::string path_ = folder_.Write("m.tied", file_);
  const int descriptor_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);

  ~NoMemoryToOpen() override { close(descriptor_); }
};

int LowestFreeDescriptor() {
  const int descriptor = dup(STDIN_FILENO);
  close(descriptor);
  return descriptor;
}

TEST_P(NoMemoryToOpen, OpensNothing) {
  const int free_descriptor = LowestFreeDescriptor();
  ForEveryAllocation([&](uint64_t number, bool only_one) {
    const int64_t live = LiveAllocations();
    auto* const untouched = reinterpret_cast<tied_model*>(0x10);
    tied_model* model = untouched;
    tied_error error = {};
    FailingMemory memory(number, only_one);
    const tied_status status = Open(&model, &error);
    memory.Stop();
    EXPECT_EQ(status, memory.Failed() ? TIED_OUT_OF_MEMORY : TIED_OK) << error.message;
    if (status == TIED_OK) {
      tied_model_close(model);
    } else {
      EXPECT_EQ(model, untouched);
      EXPECT_STRNE(error.message, "");
    }
    EXPECT_EQ(LiveAllocations(), live);
    EXPECT_EQ(LowestFreeDescriptor(), free_descriptor);
  });
}

INSTANTIATE_TEST_SUITE_P(Ways, NoMemoryToOpen,
                         testing::Combine(testing::Values("Path", "PathCopy", "Descriptor", "DescriptorCopy", "Memory"),
                                          testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param) + (std::get<1>(test.param) ? "Verified" : "");
                         });

TEST(NoMemoryToVerify, SaysSo) {
  const ModelPtr model = OpenMemory(ModelFile(kScreened));
  ForEveryAllocation([&](uint64_t number, bool only_one) {
    tied_error error = {};
    FailingMemory memory(number, only_one);
    const tied_status status = tied_model_verify(model.get(), &error);
    memory.Stop();
    EXPECT_EQ(status, memory.Failed() ? TIED_OUT_OF_MEMORY : TIED_OK) << error.message;
  });
}

class NoMemoryForASession : public testing::TestWithParam<int> {};

TEST_P(NoMemoryForASession, MakesNone) {
  const ModelPtr model = OpenMemory(ModelFile(kPlain));
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  options.threads = GetParam();
  MakeSession(model.get(), GetParam()).reset();  // the C library keeps stacks of threads that have ended
  ForEveryAllocation([&](uint64_t number, bool only_one) {
    const int64_t live = LiveAllocations();
    auto* const untouched = reinterpret_cast<tied_session*>(0x10);
    tied_session* session = untouched;
    tied_error error = {};
    FailingMemory memory(number, only_one);
    const tied_status status = tied_session_create(model.get(), &options, &session, &error);
    memory.Stop();
    EXPECT_EQ(status, memory.Failed() ? TIED_OUT_OF_MEMORY : TIED_OK) << error.message;
    if (status == TIED_OK) {
      tied_session_destroy(session);
    } else {
      EXPECT_EQ(session, untouched);
      EXPECT_STRNE(error.message, "");
    }
    EXPECT_EQ(LiveAllocations(), live);
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, NoMemoryForASession, testing::Values(1, 2, 4));

#if !defined(TIED_TEST_EMULATED)  // under an emulator, a program cannot start itself again

constexpr int kNothingFailed = 3;

// Runs in a process that has not used the library before.
void FirstUse(uint64_t number) {
  const std::string file = RandomModel(kRows, kCols).File();
  const ModelPtr model = OpenMemory(file);
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  options.threads = 2;
  tied_session* session = nullptr;
  FailingMemory memory(number, /*only_one=*/false);
  const tied_status status = tied_session_create(model.get(), &options, &session, nullptr);
  memory.Stop();
  const bool failed = FailingMemory::Failed();
  if (status != TIED_OK && (!failed || status != TIED_OUT_OF_MEMORY)) _exit(1);
  if (status != TIED_OK && tied_session_create(model.get(), &options, &session, nullptr) != TIED_OK) _exit(2);
  std::vector<float> logits(kTokens * kRows);
  if (tied_logits(session, kHidden.data(), kTokens, logits.data(), logits.size(), nullptr) != TIED_OK) _exit(4);
  if (FirstDifference(logits, RandomModel(kRows, kCols).ScalarLogits(kHidden)) != -1) _exit(5);
  tied_kernel_info best = {}, info = {};
  for (size_t i = 0; i < tied_kernel_count(); ++i) {
    tied_kernel_get_info(i, &info, nullptr);
    if (info.available != 0) best = info;
  }
  // If no memory at all is available, the CPU must be detected later.
  if (number == 0 && best.selected == 0) _exit(6);
  _exit(failed ? 0 : kNothingFailed);
}

TEST(NoMemoryDeathTest, TheFirstSessionOfAProcessCanBeMadeLater) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  int code = 0;
  for (uint64_t number = 0; code == 0; ++number) {
    SCOPED_TRACE(number);
    EXPECT_EXIT(
        FirstUse(number),
        [&](int status) {
          code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
          return true;
        },
        "");
  }
  EXPECT_EQ(code, kNothingFailed);
}

#endif

}  // namespace
}  // namespace tied::test
