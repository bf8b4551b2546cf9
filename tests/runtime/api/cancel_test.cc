// Two threads on one session: TIED_BUSY, and cancellation.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

class RunningSession : public testing::TestWithParam<bool> {
 protected:
  // Calls tied_logits() repeatedly in another thread until `stop`, and counts the results.
  void SetUp() override {
    session_ = MakeSession(open_.get(), 2, GetParam());
    caller_ = std::thread([this] {
      std::vector<float> logits(kTokens * model_.rows());
      while (!stop_) {
        const tied_status status =
            tied_logits(session_.get(), hidden_.data(), kTokens, logits.data(), logits.size(), nullptr);
        cancelled_ += status == TIED_CANCELLED;
        others_ += status != TIED_CANCELLED && status != TIED_OK;
      }
    });
  }
  void TearDown() override {
    stop_ = true;
    if (caller_.joinable()) caller_.join();
    EXPECT_EQ(others_, 0);
  }

  static constexpr size_t kTokens = 128;
  const RandomModel model_{1009, 64};
  const std::string file_ = model_.File();
  const ModelPtr open_ = OpenMemory(file_);
  const std::vector<float> hidden_ = MakeNumbers(Numbers::kNormal, kTokens * 64, 2);
  SessionPtr session_;
  std::thread caller_;
  std::atomic<bool> stop_{false};
  std::atomic<int> cancelled_{0};
  std::atomic<int> others_{0};
};

TEST_P(RunningSession, IsBusyForASecondCaller) {
  const int64_t id = 3;
  std::vector<float> embedding(64, -7.0f);
  for (;;) {
    const tied_status status = tied_embed(session_.get(), &id, 1, embedding.data(), embedding.size(), nullptr);
    if (status == TIED_BUSY) break;
    // This call ran between two calls of the other thread, which may have got TIED_BUSY meanwhile.
    ASSERT_EQ(status, TIED_OK);
    others_ = 0;
    embedding.assign(64, -7.0f);
  }
  EXPECT_EQ(embedding, std::vector<float>(64, -7.0f));
  stop_ = true;
  caller_.join();
  others_ = 0;
}

TEST_P(RunningSession, CanBeCancelledAndUsedAgain) {
  while (cancelled_ < 3) tied_session_cancel(session_.get());
  stop_ = true;
  caller_.join();
  const std::vector<float> hidden(hidden_.begin(), hidden_.begin() + 64);
  const SessionPtr undisturbed = MakeSession(open_.get(), 2, GetParam());
  std::vector<float> expected(model_.rows()), logits(model_.rows());
  ASSERT_EQ(tied_logits(undisturbed.get(), hidden.data(), 1, expected.data(), expected.size(), nullptr), TIED_OK);
  ASSERT_EQ(tied_logits(session_.get(), hidden.data(), 1, logits.data(), logits.size(), nullptr), TIED_OK);
  EXPECT_EQ(FirstDifference(expected, logits), -1);
}

INSTANTIATE_TEST_SUITE_P(Deterministic, RunningSession, testing::Bool());

TEST(Cancel, EndsAnEmbedding) {
  const RandomModel model(1009, 64);
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  const SessionPtr session = MakeSession(open.get(), 1);
  const std::vector<int64_t> ids(20000, 7);
  std::vector<float> embeddings(ids.size() * 64);
  std::atomic<bool> cancelled{false};
  std::thread canceller([&] {
    while (!cancelled) tied_session_cancel(session.get());
  });
  tied_status status = TIED_OK;
  while (status == TIED_OK) {
    status = tied_embed(session.get(), ids.data(), ids.size(), embeddings.data(), embeddings.size(), nullptr);
  }
  cancelled = true;
  canceller.join();
  EXPECT_EQ(status, TIED_CANCELLED);
}

// Most of the time is spent on rows after the screen.
TEST(Cancel, EndsAScreenedTopkSoon) {
  using Clock = std::chrono::steady_clock;
  constexpr size_t kTokens = 16, kBest = 1024;
  const RandomModel model(20000, 256);
  TiedFile screened = model.MakeFile();
  AddScreen(&screened, 20000, 256, RandomModel(model).values());
  const std::string file = screened.Bytes();
  const ModelPtr open = OpenMemory(file);
  const SessionPtr session = MakeSession(open.get(), 2);
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kTokens * 256, 2);
  std::vector<int64_t> ids(kTokens * kBest);
  Clock::time_point ended;
  const auto call = [&] {
    const tied_status status = tied_topk(session.get(), hidden.data(), kTokens, kBest, ids.data(), nullptr, nullptr);
    ended = Clock::now();
    return status;
  };
  // The fastest of several, because a busy machine may delay any of them.
  Clock::duration whole = Clock::duration::max();
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Clock::time_point start = Clock::now();
    ASSERT_EQ(call(), TIED_OK);
    whole = std::min(whole, ended - start);
  }
  Clock::duration quickest = Clock::duration::max();
  for (int part = 1; part <= 8; ++part) {
    tied_status status = TIED_OK;
    std::thread caller([&] { status = call(); });
    std::this_thread::sleep_for(whole * part / 10);
    const Clock::time_point cancelled = Clock::now();
    tied_session_cancel(session.get());
    caller.join();
    if (status == TIED_CANCELLED) quickest = std::min(quickest, ended - cancelled);
  }
  if (quickest == Clock::duration::max()) GTEST_SKIP() << "every call ended before it was cancelled";
  EXPECT_LT(quickest, whole / 10);
}

TEST(Cancel, BeforeACallHasNoEffectOnIt) {
  const TestModel model(19, 6);
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  const SessionPtr session = MakeSession(open.get(), 1);
  tied_session_cancel(session.get());
  tied_session_cancel(nullptr);
  const std::vector<float> hidden = ExactHidden(6);
  int64_t id = -1;
  EXPECT_EQ(tied_argmax(session.get(), hidden.data(), 1, &id, nullptr, nullptr), TIED_OK);
}

TEST(Threads, ShareOneModelWithASessionEach) {
  const RandomModel model(211, 17);
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, 17, 2);
  const std::vector<float> expected = model.ScalarLogits(hidden);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const SessionPtr session = MakeSession(open.get(), 2);
        std::vector<float> logits(211);
        tied_logits(session.get(), hidden.data(), 1, logits.data(), logits.size(), nullptr);
        wrong += logits != expected;
        if (round == 10) tied_model_trim(open.get(), nullptr);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tied::test
