// Makes ten million calls and checks that memory does not grow.
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/runtime/model_fixture.h"

namespace tied::test {
namespace {

size_t Resident() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Includes freed blocks that a thread keeps for its next call. Other C libraries than glibc do not tell.
#if defined(__GLIBC__)
size_t Allocated() { return mallinfo2().uordblks; }
#else
size_t Allocated() { return 0; }
#endif

// A model so small that the cost of a call dominates, and calls of each kind, including failing ones.
class Soak : public testing::Test {
 protected:
  static constexpr size_t kRows = 16, kCols = 8;
  static constexpr size_t kCallsOfARound = 8;

  void Round(tied_session* session) {
    const int64_t id = 3, outside = kRows;
    const uint8_t allowed[2] = {0xF0, 0x0F};
    int64_t ids[2];
    float best[2], logits[kRows], embedding[kCols];
    double log_z = 0;
    tied_error error;
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.allowed = allowed;
    options.allowed_bytes = sizeof allowed;
    const tied_topk_result result = {ids, best, &log_z, nullptr, nullptr, nullptr};
    const int64_t dims = 1;
    tied_tensor inputs[2] = {{"input_ids", TIED_INT64, 2, {dims, dims}, const_cast<int64_t*>(&id), sizeof id},
                             {"use_embedding", TIED_BOOL, 1, {1}, &yes_, sizeof yes_}};
    tied_tensor output = {"embeddings", TIED_FLOAT32, 0, {}, embedding, sizeof embedding};

    Expect(tied_embed(session, &id, 1, embedding, kCols, &error));
    Expect(tied_logits(session, hidden_.data(), 1, logits, kRows, &error));
    Expect(tied_argmax(session, hidden_.data(), 1, ids, best, &error));
    Expect(tied_topk_with(session, hidden_.data(), 1, 2, &options, &result, &error));
    Expect(tied_logits_of(session, hidden_.data(), 1, &id, 1, logits, kRows, &error));
    Expect(tied_logits_allowed(session, hidden_.data(), 1, allowed, sizeof allowed, logits, kRows, &error));
    Expect(tied_run(session, nullptr, inputs, 2, &output, 1, &error));
    Expect(tied_embed(session, &outside, 1, embedding, kCols, &error), TIED_OUT_OF_RANGE);
  }

  void Expect(tied_status status, tied_status expected = TIED_OK) { wrong_ += status != expected; }

  // 10 million, or TIED_SOAK_CALLS.
  static size_t Calls() {
    const char* calls = std::getenv("TIED_SOAK_CALLS");
    return calls == nullptr ? 10000000 : std::strtoul(calls, nullptr, 10);
  }

  const TestModel model_{kRows, kCols};
  const std::string file_ = model_.File();
  const std::vector<float> hidden_ = ExactHidden(kCols);
  bool yes_ = true;
  size_t wrong_ = 0;
};

TEST_F(Soak, MemoryIsFlat) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("model.tied", file_);
  const size_t calls = Calls();
  size_t allocated = 0, resident = 0;
  ModelPtr model;
  SessionPtr session;
  for (size_t done = 0; done < calls; done += kCallsOfARound) {
    // A hundred models and sessions in all; the last sessions have a second thread.
    if (done % (calls / 100 / kCallsOfARound * kCallsOfARound) == 0) {
      session.reset();
      tied_model* opened = nullptr;
      ASSERT_EQ(tied_model_open(path.c_str(), nullptr, &opened, nullptr), TIED_OK);
      model.reset(opened);
      session = MakeSession(model.get(), done < calls / 100 * 99 ? 1 : 2);
    }
    Round(session.get());
    if (done < calls / 50) {  // until then it warms up
      allocated = Allocated();
      resident = Resident();
    }
  }
  session = MakeSession(model.get(), 1);
  EXPECT_EQ(wrong_, 0u);
  // Less than one byte per hundred calls, plus what the threads of the last pool leave allocated.
  EXPECT_LE(Allocated(), allocated + (size_t{16} << 10));
  EXPECT_LE(Resident(), resident + (size_t{1} << 20));
}

}  // namespace
}  // namespace tied::test
