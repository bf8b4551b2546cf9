// System calls of the runtime that fail or are interrupted, and files that change under it.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "tests/faults/address_space.h"
#include "tests/faults/failing_calls.h"
#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 300;
constexpr size_t kCols = 64;

class Faults : public testing::Test {
 protected:
  ~Faults() override { SetFault(""); }

  tied_status Open(bool copy, tied_model** model, tied_error* error = nullptr) const {
    tied_open_options options = TIED_OPEN_OPTIONS_INIT;
    options.copy = copy;
    return tied_model_open(path_.c_str(), &options, model, error);
  }

  ModelPtr MustOpen(bool copy) const {
    tied_model* model = nullptr;
    tied_error error = {};
    EXPECT_EQ(Open(copy, &model, &error), TIED_OK) << error.message;
    return ModelPtr(model);
  }

  // Checks the logits of hidden_. Returns "" or the error.
  std::string Wrong(tied_session* session) const {
    std::vector<float> logits(kRows);
    tied_error error = {};
    if (tied_logits(session, hidden_.data(), 1, logits.data(), logits.size(), &error)) return error.message;
    return FirstDifference(logits, expected_) == -1 ? "" : "other bits";
  }
  std::string Wrong(tied_model* model) const { return Wrong(MakeSession(model, 1).get()); }

  const RandomModel model_{kRows, kCols};
  const TemporaryFolder folder_;
  const std::string path_ = folder_.Write("m.tied", model_.File());
  const std::vector<float> hidden_ = MakeNumbers(Numbers::kNormal, kCols, 5);
  const std::vector<float> expected_ = model_.ScalarLogits(hidden_);
};

TEST_F(Faults, InterruptedCallsAreMadeAgain) {
  for (const bool copy : {false, true}) {
    for (const std::string& fault : {"all each " + std::to_string(EINTR), std::string("pread each short")}) {
      SetFault(fault);
      const ModelPtr model = MustOpen(copy);
      uint64_t bytes = 0;
      const tied_status status = tied_model_resident_bytes(model.get(), &bytes, nullptr);
      EXPECT_EQ(tied_model_prefetch(model.get(), nullptr, nullptr, nullptr, nullptr), TIED_OK);
      EXPECT_TRUE(FaultHappened());
      SetFault("");
      EXPECT_TRUE(status == TIED_OK || status == TIED_IO_ERROR) << "a system that does not report resident pages";
      EXPECT_EQ(Wrong(model.get()), "");
    }
  }
}

TEST_F(Faults, AnOpenThatFailsSaysWhyAndOpensNothing) {
  const struct {
    const char* call;
    int error;
    tied_status status;
  } cases[] = {{"open", EACCES, TIED_PERMISSION_DENIED},
               {"open", EMFILE, TIED_IO_ERROR},
               {"open", ENOMEM, TIED_OUT_OF_MEMORY},
               {"open", EIO, TIED_IO_ERROR},
               {"pread", EIO, TIED_IO_ERROR},
               {"pread", ENOMEM, TIED_OUT_OF_MEMORY}};
  const int free_descriptor = dup(STDIN_FILENO);
  close(free_descriptor);
  for (const auto& c : cases) {
    SetFault(std::string(c.call) + " 0 " + std::to_string(c.error));
    tied_model* model = nullptr;
    tied_error error = {};
    EXPECT_EQ(Open(/*copy=*/true, &model, &error), c.status) << error.message;
    EXPECT_TRUE(FaultHappened());
    EXPECT_EQ(model, nullptr);
    EXPECT_NE(std::string(error.message).find(path_), std::string::npos) << error.message;
    EXPECT_NE(std::string(error.message).find(std::strerror(c.error)), std::string::npos) << error.message;
    SetFault("");
    EXPECT_EQ(Wrong(MustOpen(true).get()), "");
    const int now_free = dup(STDIN_FILENO);
    close(now_free);
    EXPECT_EQ(now_free, free_descriptor);
  }
}

TEST_F(Faults, APrefetchSaysWhatCannotBeReadAndNoReadDies) {
  const ModelPtr model = MustOpen(false);
  for (const char* number : {"0", "1"}) {
    SetFault(std::string("pread ") + number + " " + std::to_string(EIO));
    tied_error error = {};
    EXPECT_EQ(tied_model_prefetch(model.get(), nullptr, nullptr, nullptr, &error), TIED_IO_ERROR);
    EXPECT_TRUE(FaultHappened());
    EXPECT_NE(std::string(error.message).find(std::strerror(EIO)), std::string::npos) << error.message;
    SetFault("");
    EXPECT_EQ(Wrong(model.get()), "");
  }
}

TEST_F(Faults, ThreadsThatCannotStartMakeNoSession) {
  const ModelPtr model = MustOpen(false);
  constexpr int kThreads = 4;
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  options.threads = kThreads;
  for (int number = 0; number < kThreads - 1; ++number) {
    SetFault("pthread_create " + std::to_string(number) + " " + std::to_string(EAGAIN));
    tied_session* session = nullptr;
    tied_error error = {};
    EXPECT_EQ(tied_session_create(model.get(), &options, &session, &error), TIED_OUT_OF_MEMORY);
    EXPECT_EQ(session, nullptr);
    EXPECT_NE(std::string(error.message).find("4 threads"), std::string::npos) << error.message;
    SetFault("");
    EXPECT_EQ(Wrong(MakeSession(model.get(), kThreads).get()), "");
  }
}

#if !defined(TIED_TEST_EMULATED)  // an emulator uses threads and memory itself, and does not pass on limits

TEST_F(Faults, ThreadsThatTheSystemRefusesMakeNoSession) {
  const ModelPtr model = MustOpen(false);
  const ChildOutcome outcome = RunInChild([&] {
    const rlimit limit = {1, 1};
    if (setrlimit(RLIMIT_NPROC, &limit) != 0 || (geteuid() == 0 && setuid(65534) != 0)) return 2;
    tied_session_options options = TIED_SESSION_OPTIONS_INIT;
    options.threads = 3;
    tied_session* session = nullptr;
    if (tied_session_create(model.get(), &options, &session, nullptr) != TIED_OUT_OF_MEMORY) return 3;
    options.threads = 1;
    if (tied_session_create(model.get(), &options, &session, nullptr) != TIED_OK) return 4;
    return Wrong(session).empty() ? 0 : 5;
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

// Opens a model, creates a session, and computes the best rows of `tokens` tokens. Returns the first error, or TIED_OK.
tied_status Everything(const std::string& path, bool copy, const float* hidden, size_t tokens, int64_t* ids) {
  tied_open_options open_options = TIED_OPEN_OPTIONS_INIT;
  open_options.copy = copy;
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  options.threads = 2;
  tied_model* model = nullptr;
  tied_session* session = nullptr;
  tied_status status = tied_model_open(path.c_str(), &open_options, &model, nullptr);
  if (status == TIED_OK) status = tied_session_create(model, &options, &session, nullptr);
  if (status == TIED_OK) status = tied_topk(session, hidden, tokens, 200, ids, nullptr, nullptr);
  tied_session_destroy(session);
  tied_model_close(model);
  return status;
}

TEST_F(Faults, WithoutAddressSpaceEveryCallFailsOrSucceeds) {
#if defined(TIED_TEST_SANITIZED)
  GTEST_SKIP() << "a sanitizer needs additional address space";
#endif
  constexpr size_t kTokens = 200;
  constexpr size_t kKiB = 1024;
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kTokens * kCols, 6);
  const ChildOutcome outcome = RunInChild([&] {
    std::vector<int64_t> ids(kTokens * 200);
    int failed = 0, worked = 0;
    for (const size_t more : {0u, 80u, 200u, 300u, 400u, 600u, 1000u, 9000u, 12000u, 24000u}) {
      if (!LimitAddressSpace(more * kKiB)) return 2;
      const tied_status status = Everything(path_, more % 400 == 0, hidden.data(), kTokens, ids.data());
      if (status != TIED_OK && status != TIED_OUT_OF_MEMORY) return 3;
      ++(status == TIED_OK ? worked : failed);
      UnlimitAddressSpace();
    }
    if (failed < 2 || worked < 2) return 5;
    return Everything(path_, false, hidden.data(), kTokens, ids.data()) == TIED_OK ? 0 : 6;
  });
  EXPECT_EQ(outcome.exit_code, 0) << "signal " << outcome.signal << outcome.err;
}

TEST_F(Faults, WithoutDescriptorsAPathIsNotOpenedAndADescriptorIs) {
  const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const ChildOutcome outcome = RunInChild([&] {
    const rlimit limit = {3, 3};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
    tied_model* model = nullptr;
    if (Open(false, &model) != TIED_IO_ERROR || model != nullptr) return 3;
    if (tied_model_open_fd(descriptor, 0, 0, nullptr, &model, nullptr) != TIED_OK) return 4;
    return Wrong(model).empty() ? 0 : 5;
  });
  close(descriptor);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

#endif

TEST_F(Faults, ACopyOutlivesItsFile) {
  const ModelPtr truncated = MustOpen(true), removed = MustOpen(true);
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  EXPECT_EQ(Wrong(truncated.get()), "");
  unlink(path_.c_str());
  EXPECT_EQ(Wrong(removed.get()), "");
}

TEST_F(Faults, AMappedFileMayBeReplacedAndRemoved) {
  const ModelPtr model = MustOpen(false);
  EXPECT_EQ(Wrong(model.get()), "");
  EXPECT_EQ(tied_model_trim(model.get(), nullptr), TIED_OK);
  std::filesystem::rename(folder_.Write("other", TestModel(3, 4).File()), path_);
  EXPECT_EQ(Wrong(model.get()), "");
  unlink(path_.c_str());
  EXPECT_EQ(tied_model_trim(model.get(), nullptr), TIED_OK);
  EXPECT_EQ(Wrong(model.get()), "");
}

// tied.h documents this: the file must not be truncated.
TEST_F(Faults, AMappedFileThatIsTruncatedKillsTheReaderBySigbus) {
  const ModelPtr model = MustOpen(false);
  const SessionPtr session = MakeSession(model.get(), 1);
  ASSERT_EQ(truncate(path_.c_str(), 65536), 0);
  // Describing the model does not read the truncated part.
  tied_table_info table = {};
  EXPECT_EQ(tied_model_get_table(model.get(), 0, &table, nullptr), TIED_OK);
  EXPECT_EQ(table.rows, kRows);
  const ChildOutcome outcome = RunInChild([&] {
    std::signal(SIGBUS, SIG_DFL);  // a sanitizer has a handler
    return Wrong(session.get()).empty() ? 0 : 1;
  });
  EXPECT_EQ(outcome.signal, SIGBUS);
}

TEST_F(Faults, ASessionWorksAfterEveryKindOfFailure) {
  const ModelPtr model = MustOpen(false);
  const SessionPtr session = MakeSession(model.get(), 2);
  std::vector<float> floats(kRows), bad(kCols, NAN);
  std::vector<int64_t> ids = {0, static_cast<int64_t>(kRows)};
  tied_tensor unknown = {"nothing", TIED_FLOAT32, 0, {}, nullptr, 0};
  const tied_status failures[] = {
      tied_embed(session.get(), ids.data(), 2, floats.data(), floats.size(), nullptr),
      tied_embed(session.get(), ids.data(), 1, floats.data(), kCols - 1, nullptr),
      tied_logits(session.get(), hidden_.data(), 1, floats.data(), kRows - 1, nullptr),
      tied_logits(session.get(), nullptr, 1, floats.data(), kRows, nullptr),
      tied_topk(session.get(), bad.data(), 1, 2, ids.data(), nullptr, nullptr),
      tied_topk(session.get(), hidden_.data(), 1, kRows + 1, ids.data(), nullptr, nullptr),
      tied_logits_of(session.get(), hidden_.data(), 1, ids.data(), 2, floats.data(), floats.size(), nullptr),
      tied_run(session.get(), nullptr, nullptr, 0, &unknown, 1, nullptr)};
  const tied_status expected[] = {TIED_OUT_OF_RANGE,     TIED_BUFFER_TOO_SMALL, TIED_BUFFER_TOO_SMALL,
                                  TIED_INVALID_ARGUMENT, TIED_NOT_FINITE,       TIED_INVALID_ARGUMENT,
                                  TIED_OUT_OF_RANGE,     TIED_NOT_FOUND};
  for (size_t i = 0; i < std::size(failures); ++i) EXPECT_EQ(failures[i], expected[i]) << i;
  EXPECT_EQ(Wrong(session.get()), "");
}

}  // namespace
}  // namespace tied::test
