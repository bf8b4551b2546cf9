// Calls with their right results, to be made from any number of threads.
#ifndef TIED_TESTS_CONCURRENCY_CALLS_H_
#define TIED_TESTS_CONCURRENCY_CALLS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/runtime/model_fixture.h"

namespace tied::test {

// What a call on a session came to, compared with what it should.
struct Outcome {
  tied_status status;
  bool right;  // the results, if the status is TIED_OK
};

// One model with a screen, its bytes, and one call of each kind. All members may be used from any thread.
class Calls {
 public:
  struct Call {
    const char* name;
    std::function<Outcome(tied_session*)> make;
  };

  Calls(size_t rows, size_t cols, size_t tokens);

  const std::string& file() const { return file_; }
  const std::vector<Call>& calls() const { return calls_; }

  // How many of `rounds` calls of each kind were not right.
  int CountWrong(tied_session* session, int rounds) const;

 private:
  void Add(const char* name, std::function<Outcome(tied_session*)> make) { calls_.push_back({name, std::move(make)}); }
  void AddTopk(const char* name, bool use_screen, size_t k);

  const RandomModel model_;
  const size_t tokens_;
  std::string file_;
  std::vector<float> hidden_;
  std::vector<float> logits_;
  std::vector<Call> calls_;
};

// Runs body(i) for i below `count`, each in a thread, and waits for all.
template <class Body>
void InThreads(int count, const Body& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tied::test

#endif  // TIED_TESTS_CONCURRENCY_CALLS_H_
