// Models and sessions for the tests of the C ABI.
#ifndef TIED_TESTS_RUNTIME_MODEL_FIXTURE_H_
#define TIED_TESTS_RUNTIME_MODEL_FIXTURE_H_

#include <gtest/gtest.h>
#include <tied/tied.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/support/test_model.h"

namespace tied::test {

struct Closer {
  void operator()(tied_model* model) const { tied_model_close(model); }
  void operator()(tied_session* session) const { tied_session_destroy(session); }
};
using ModelPtr = std::unique_ptr<tied_model, Closer>;
using SessionPtr = std::unique_ptr<tied_session, Closer>;

// Opens from memory; `file` must outlive the model.
ModelPtr OpenMemory(const std::string& file);
SessionPtr MakeSession(tied_model* model, int threads, bool deterministic = true);

// Status and message of a call that must fail.
struct Failure {
  tied_status status = TIED_OK;
  std::string message;
};
Failure OpenFailure(const std::string& file);

// Random weights, with logits by the scalar definition and the best k of them by sorting.
class RandomModel : public TestModel {
 public:
  RandomModel(size_t rows, size_t cols);

  std::vector<float> ScalarLogits(const std::vector<float>& hidden) const;
  std::vector<int64_t> Best(const std::vector<float>& logits, size_t k) const;
};

}  // namespace tied::test

#endif  // TIED_TESTS_RUNTIME_MODEL_FIXTURE_H_
