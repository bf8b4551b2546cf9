// Many threads on one model: tests the promises of tied.h for models and sessions. Most useful with the thread
// sanitizer.
#include <atomic>
#include <fstream>
#include <future>

#include "kernels/cpu.h"
#include "tests/concurrency/calls.h"

namespace tied::test {
namespace {

constexpr int kThreads = 4;

ModelPtr Open(const std::string& path) {
  tied_model* model = nullptr;
  tied_error error = {};
  EXPECT_EQ(tied_model_open(path.c_str(), nullptr, &model, &error), TIED_OK) << error.message;
  return ModelPtr(model);
}

bool IsMapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(path) != std::string::npos) return true;
  }
  return false;
}

// Runs in a separate process (CMakeLists.txt), so that the very first calls are simultaneous.
TEST(FirstUse, ChoosesKernelsOnceForAllThreads) {
  const Calls calls(67, 24, 1);
  std::promise<void> start;
  const std::shared_future<void> started = start.get_future().share();
  std::atomic<int> wrong{0}, selected{0};
  std::thread starter([&] { start.set_value(); });
  InThreads(kThreads, [&](int i) {
    started.wait();
    if (i % 2 == 0) wrong += kernels::PerformanceCoreCount() < 1;
    for (size_t k = 0; k < tied_kernel_count(); ++k) {
      tied_kernel_info info;
      wrong += tied_kernel_get_info(k, &info, nullptr) != TIED_OK;
      selected += info.selected;
    }
    const ModelPtr model = OpenMemory(calls.file());
    wrong += calls.CountWrong(MakeSession(model.get(), 1 + i % 2).get(), 1);
  });
  starter.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(selected, kThreads);
}

class SessionThreads : public testing::TestWithParam<int> {};

TEST_P(SessionThreads, ShareOneModelWithASessionEach) {
  const Calls calls(601, 33, 3);
  const ModelPtr model = OpenMemory(calls.file());
  std::atomic<int> wrong{0};
  InThreads(kThreads, [&](int) { wrong += calls.CountWrong(MakeSession(model.get(), GetParam()).get(), 10); });
  EXPECT_EQ(wrong, 0);
}

TEST_P(SessionThreads, HandOneSessionFromThreadToThread) {
  const Calls calls(601, 33, 3);
  const ModelPtr model = OpenMemory(calls.file());
  const SessionPtr session = MakeSession(model.get(), GetParam());
  int wrong = 0;
  for (int i = 0; i < kThreads; ++i) std::thread([&] { wrong += calls.CountWrong(session.get(), 2); }).join();
  EXPECT_EQ(wrong, 0);
}

// All threads call one session: one gets through, the others get TIED_BUSY with untouched outputs.
TEST_P(SessionThreads, OneSessionServesOneCallerAtATime) {
  const Calls calls(601, 33, 3);
  const ModelPtr model = OpenMemory(calls.file());
  const SessionPtr session = MakeSession(model.get(), GetParam());
  std::atomic<int> wrong{0}, busy{0}, served{0};
  InThreads(kThreads, [&](int i) {
    const Calls::Call& call = calls.calls()[static_cast<size_t>(i) % calls.calls().size()];
    while (busy < 20 || served < 20) {
      const Outcome outcome = call.make(session.get());
      busy += outcome.status == TIED_BUSY;
      served += outcome.status == TIED_OK;
      wrong += outcome.status == TIED_OK ? !outcome.right : outcome.status != TIED_BUSY;
    }
  });
  EXPECT_EQ(wrong, 0);
}

// Pages that are released during a call are read from the file again.
TEST_P(SessionThreads, AreNotDisturbedByTrimAndByCountingPages) {
  const Calls calls(2003, 96, 3);
  const TemporaryFolder folder;
  const ModelPtr model = Open(folder.Write("model.tied", calls.file()));
  std::atomic<int> running{kThreads}, wrong{0};
  std::thread trimmer([&] {
    while (running > 0) {
      uint64_t bytes = 0;
      wrong += tied_model_trim(model.get(), nullptr) != TIED_OK;
      const tied_status status = tied_model_resident_bytes(model.get(), &bytes, nullptr);
      wrong += status == TIED_OK ? bytes > calls.file().size() + 65536 : status == TIED_INVALID_ARGUMENT;
      wrong += tied_model_verify(model.get(), nullptr) != TIED_OK;
    }
  });
  InThreads(kThreads, [&](int) {
    wrong += calls.CountWrong(MakeSession(model.get(), GetParam()).get(), 5);
    --running;
  });
  trimmer.join();
  EXPECT_EQ(wrong, 0);
}

// The model is closed while sessions on it start, run and end in other threads.
TEST_P(SessionThreads, KeepAClosedModelAliveToTheLast) {
  const Calls calls(601, 33, 2);
  const TemporaryFolder folder;
  const std::string path = folder.Write("model.tied", calls.file());
  std::atomic<int> wrong{0};
  for (int round = 0; round < 10; ++round) {
    ModelPtr model = Open(path);
    std::vector<SessionPtr> sessions;
    for (int i = 0; i < kThreads; ++i) sessions.push_back(MakeSession(model.get(), GetParam()));
    std::thread closer([&] { model.reset(); });
    InThreads(kThreads, [&](int i) {
      wrong += calls.CountWrong(sessions[static_cast<size_t>(i)].get(), 1);
      sessions[static_cast<size_t>(i)].reset();
    });
    closer.join();
    EXPECT_FALSE(IsMapped(path));
  }
  EXPECT_EQ(wrong, 0);
}

TEST_P(SessionThreads, OpenAndCloseInEveryThreadAtOnce) {
  const Calls calls(67, 24, 1);
  const TemporaryFolder folder;
  const std::string path = folder.Write("model.tied", calls.file());
  const ModelPtr shared = Open(path);
  std::atomic<int> wrong{0};
  InThreads(kThreads, [&](int) {
    for (int round = 0; round < 10; ++round) {
      SessionPtr session;
      {
        const ModelPtr own = Open(path);
        session = MakeSession(round % 2 == 0 ? own.get() : shared.get(), GetParam());
      }
      wrong += calls.CountWrong(session.get(), 1);
    }
  });
  EXPECT_EQ(wrong, 0);
}

// Whenever the call is cancelled, it either fails or has the right results.
TEST_P(SessionThreads, ACancelledCallIsRightOrSaysSo) {
  const Calls calls(2003, 96, 70);  // more than one batch of tokens
  const ModelPtr model = OpenMemory(calls.file());
  for (const Calls::Call& call : calls.calls()) {
    const bool cannot_be_cancelled = std::string(call.name) == "Embed";
    const SessionPtr session = MakeSession(model.get(), GetParam());
    std::atomic<int> ended{0};
    std::atomic<bool> done{false};
    std::thread canceller([&] {
      // Cancels later and later in the call, then starts over.
      for (unsigned pause = 0; !done; pause = pause * 5 / 4 + 1) {
        const int before = ended;
        for (unsigned i = 0; i < pause && ended == before && !done; ++i) std::this_thread::yield();
        if (ended != before) pause = 0;
        tied_session_cancel(session.get());
      }
    });
    int cancelled = 0, completed = 0, wrong = 0;
    const int wanted = cannot_be_cancelled ? 0 : 5;
    while (cancelled < wanted || cancelled + completed < 20) {
      const Outcome outcome = call.make(session.get());
      ++ended;
      cancelled += outcome.status == TIED_CANCELLED;
      completed += outcome.status == TIED_OK;
      wrong += outcome.status == TIED_OK ? !outcome.right : outcome.status != TIED_CANCELLED;
    }
    done = true;
    canceller.join();
    EXPECT_EQ(wrong, 0) << call.name;
    EXPECT_EQ(calls.CountWrong(session.get(), 1), 0) << call.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, SessionThreads, testing::Values(1, 2));

}  // namespace
}  // namespace tied::test
