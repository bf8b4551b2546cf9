// Calls and their expected results, for use from any number of threads.
#ifndef TIED_TESTS_CONCURRENCY_CALLS_H_
#define TIED_TESTS_CONCURRENCY_CALLS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/runtime/model_fixture.h"

namespace tied::test {

// The outcome of a call on a session.
struct Outcome {
  tied_status status;
  bool right;  // whether the results are as expected, if the status is TIED_OK
};

// A model with a screen, its bytes, and one call of each kind. All members are thread-safe.
class Calls {
 public:
  struct Call {
    const char* name;
    std::function<Outcome(tied_session*)> make;
  };

  Calls(size_t rows, size_t cols, size_t tokens);

  const std::string& file() const { return file_; }
  const std::vector<Call>& calls() const { return calls_; }

  // Makes `rounds` calls of each kind and returns the number of wrong ones.
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

// Runs body(i) for each i below `count` in a separate thread, and waits for all.
template <class Body>
void InThreads(int count, const Body& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tied::test

#endif  // TIED_TESTS_CONCURRENCY_CALLS_H_
