#include "tests/concurrency/calls.h"

#include <cmath>

#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {

namespace {

std::vector<float> Values(const TestModel& model) {
  std::vector<float> values;
  for (size_t r = 0; r < model.rows(); ++r) {
    for (size_t c = 0; c < model.cols(); ++c) values.push_back(model.Value(r, c));
  }
  return values;
}

template <class T>
bool Same(const std::vector<T>& expected, const std::vector<T>& actual) {
  return FirstDifference(expected, actual) == -1;
}

}  // namespace

Calls::Calls(size_t rows, size_t cols, size_t tokens)
    : model_(rows, cols), tokens_(tokens), hidden_(MakeNumbers(Numbers::kNormal, tokens * cols, 2)) {
  TiedFile file = model_.MakeFile();
  AddScreen(&file, rows, cols, Values(model_));
  file_ = file.Bytes();
  logits_ = model_.ScalarLogits(hidden_);

  std::vector<int64_t> ids;
  for (size_t i = 0; i < tokens; ++i) ids.push_back(static_cast<int64_t>(i * 37 % rows));
  Add("Embed", [ids, expected = model_.Embed(ids)](tied_session* session) -> Outcome {
    std::vector<float> out(expected.size());
    const tied_status status = tied_embed(session, ids.data(), ids.size(), out.data(), out.size(), nullptr);
    return {status, Same(expected, out)};
  });
  Add("Logits", [this](tied_session* session) -> Outcome {
    std::vector<float> out(logits_.size());
    const tied_status status = tied_logits(session, hidden_.data(), tokens_, out.data(), out.size(), nullptr);
    return {status, Same(logits_, out)};
  });
  Add("LogitsOf", [this, ids](tied_session* session) -> Outcome {
    std::vector<float> out(tokens_ * ids.size());
    const tied_status status =
        tied_logits_of(session, hidden_.data(), tokens_, ids.data(), ids.size(), out.data(), out.size(), nullptr);
    bool right = true;
    for (size_t t = 0; t < tokens_; ++t) {
      for (size_t i = 0; i < ids.size(); ++i) {
        right &= out[t * ids.size() + i] == logits_[t * model_.rows() + static_cast<size_t>(ids[i])];
      }
    }
    return {status, right};
  });
  AddTopk("TopkFull", false, 5);
  AddTopk("TopkScreened", true, 5);
}

void Calls::AddTopk(const char* name, bool use_screen, size_t k) {
  Add(name, [this, use_screen, k, expected = model_.Best(logits_, k)](tied_session* session) -> Outcome {
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.use_screen = use_screen;
    options.log_z_tolerance = 1e-3;
    std::vector<int64_t> ids(expected.size());
    std::vector<float> best(expected.size());
    std::vector<double> log_z(tokens_);
    const tied_topk_result result = {ids.data(), best.data(), log_z.data(), nullptr, nullptr, nullptr};
    const tied_status status = tied_topk_with(session, hidden_.data(), tokens_, k, &options, &result, nullptr);
    bool right = ids == expected;
    for (size_t i = 0; right && i < ids.size(); ++i) {
      right = best[i] == logits_[i / k * model_.rows() + static_cast<size_t>(ids[i])];
    }
    for (const double z : log_z) right &= std::isfinite(z);
    return {status, right};
  });
}

int Calls::CountWrong(tied_session* session, int rounds) const {
  int wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    for (const Call& call : calls_) {
      const Outcome outcome = call.make(session);
      wrong += outcome.status != TIED_OK || !outcome.right;
    }
  }
  return wrong;
}

}  // namespace tied::test
