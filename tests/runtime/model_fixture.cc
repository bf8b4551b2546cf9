#include "tests/runtime/model_fixture.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>

#include "kernels/kernels.h"
#include "tests/support/oracle.h"

namespace tied::test {

ModelPtr OpenMemory(const std::string& file) {
  tied_model* model = nullptr;
  tied_error error = {};
  EXPECT_EQ(tied_model_open_memory(file.data(), file.size(), nullptr, &model, &error), TIED_OK) << error.message;
  return ModelPtr(model);
}

SessionPtr MakeSession(tied_model* model, int threads, bool deterministic) {
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  options.threads = threads;
  options.deterministic = deterministic;
  options.xnnpack_min_tokens = 1;  // if not deterministic, use XNNPACK on every CPU
  tied_session* session = nullptr;
  tied_error error = {};
  EXPECT_EQ(tied_session_create(model, &options, &session, &error), TIED_OK) << error.message;
  return SessionPtr(session);
}

Failure OpenFailure(const std::string& file) {
  tied_model* const untouched = reinterpret_cast<tied_model*>(0x10);
  tied_model* model = untouched;
  tied_error error = {};
  const std::unique_ptr<char[]> aligned(new char[file.size()]);  // a short string of libc++ is not
  std::copy(file.begin(), file.end(), aligned.get());
  const tied_status status = tied_model_open_memory(aligned.get(), file.size(), nullptr, &model, &error);
  if (status == TIED_OK) {
    tied_model_close(model);
    return {};
  }
  EXPECT_EQ(model, untouched);
  EXPECT_EQ(error.status, status);
  return {status, error.message};
}

RandomModel::RandomModel(size_t rows, size_t cols) : TestModel(rows, cols) {
  values() = MakeNumbers(Numbers::kNormal, rows * cols, 1);
  bias() = MakeNumbers(Numbers::kNormal, rows, 3);
}

std::vector<float> RandomModel::ScalarLogits(const std::vector<float>& hidden) const {
  const kernels::Kernels& scalar = *kernels::AllKernels()[0];
  const size_t tokens = hidden.size() / cols();
  std::vector<float> packed(kernels::PackedHiddenSize(tokens, cols()));
  scalar.floats->pack(hidden.data(), tokens, cols(), packed.data());
  std::vector<float> logits(tokens * rows());
  std::vector<float> table;
  for (size_t r = 0; r < rows(); ++r) {
    for (size_t c = 0; c < cols(); ++c) table.push_back(Value(r, c));
  }
  scalar.floats->f32(table.data(), rows(), cols(), packed.data(), tokens, logits.data(), rows());
  for (size_t i = 0; i < logits.size(); ++i) logits[i] += Bias(i % rows());
  return logits;
}

std::vector<int64_t> RandomModel::Best(const std::vector<float>& logits, size_t k) const {
  std::vector<int64_t> best;
  for (size_t first = 0; first < logits.size(); first += rows()) {
    std::vector<int64_t> order(rows());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return logits[first + static_cast<size_t>(a)] > logits[first + static_cast<size_t>(b)];
    });
    best.insert(best.end(), order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k));
  }
  return best;
}

}  // namespace tied::test
