// Compares embed, logits, top-k and argmax with the scalar definition.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tied/tied.hpp>
#include <tuple>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Heads : public testing::TestWithParam<std::tuple<int, size_t, size_t, size_t>> {
 protected:
  void SetUp() override {
    const auto [threads, tokens, rows, cols] = GetParam();
    tokens_ = tokens;
    model_ = std::make_unique<RandomModel>(rows, cols);
    file_ = model_->File();
    open_ = OpenMemory(file_);
    hidden_ = MakeNumbers(Numbers::kNormal, tokens * cols, 2);
  }

  std::vector<float> Logits(bool deterministic) const {
    std::vector<float> logits(tokens_ * model_->rows());
    tied_error error = {};
    const SessionPtr session = MakeSession(open_.get(), std::get<0>(GetParam()), deterministic);
    EXPECT_EQ(tied_logits(session.get(), hidden_.data(), tokens_, logits.data(), logits.size(), &error), TIED_OK)
        << error.message;
    return logits;
  }

  size_t tokens_;
  std::unique_ptr<RandomModel> model_;
  std::string file_;
  ModelPtr open_;
  std::vector<float> hidden_;
};

TEST_P(Heads, DeterministicLogitsHaveTheBitsOfTheScalarDefinition) {
  EXPECT_EQ(FirstDifference(model_->ScalarLogits(hidden_), Logits(true)), -1);
}

TEST_P(Heads, OtherLogitsAreWithinTheErrorBoundOfTheExactOnes) {
  const std::vector<float> logits = Logits(false);
  const size_t rows = model_->rows(), cols = model_->cols();
  for (size_t i = 0; i < logits.size(); ++i) {
    const size_t t = i / rows, r = i % rows;
    const DoubleDot exact = ExactDot(&model_->values()[r * cols], &hidden_[t * cols], cols);
    const auto bias = static_cast<double>(model_->Bias(r));
    const double bound = Gamma(2 * cols + 1) * (exact.magnitude + std::fabs(bias));
    ASSERT_LE(std::fabs(static_cast<double>(logits[i]) - (exact.value + bias)), bound) << "token " << t << " row " << r;
  }
}

TEST_P(Heads, TopkIsTheFrontOfTheSortedLogits) {
  const std::vector<float> logits = model_->ScalarLogits(hidden_);
  const SessionPtr session = MakeSession(open_.get(), std::get<0>(GetParam()));
  for (const size_t k : {size_t{1}, size_t{5}, model_->rows()}) {
    if (k > std::min<size_t>(model_->rows(), TIED_MAX_K)) continue;
    std::vector<int64_t> ids(tokens_ * k);
    std::vector<float> best(tokens_ * k);
    ASSERT_EQ(tied_topk(session.get(), hidden_.data(), tokens_, k, ids.data(), best.data(), nullptr), TIED_OK);
    EXPECT_EQ(ids, model_->Best(logits, k));
    for (size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(best[i], logits[i / k * model_->rows() + static_cast<size_t>(ids[i])]);
    }
  }
  std::vector<int64_t> first(tokens_);
  ASSERT_EQ(tied_argmax(session.get(), hidden_.data(), tokens_, first.data(), nullptr, nullptr), TIED_OK);
  EXPECT_EQ(first, model_->Best(logits, 1));
}

// Odd and prime numbers of rows and columns, and one; tokens around the batch size of 64.
INSTANTIATE_TEST_SUITE_P(Shapes, Heads,
                         testing::Combine(testing::Values(1, 3), testing::Values(1u, 4u, 16u, 65u, 130u),
                                          testing::Values(1u, 2u, 997u), testing::Values(1u, 5u, 61u)));

class TypedCalls : public testing::Test {
 protected:
  const TestModel model_{19, 6};
  const std::string file_ = model_.File();
  const ModelPtr open_ = OpenMemory(file_);
  const SessionPtr session_ = MakeSession(open_.get(), 2);
  tied_error error_ = {};
};

TEST_F(TypedCalls, EmbedGivesScaledRows) {
  const std::vector<int64_t> ids = {18, 0, 7, 7};
  std::vector<float> embeddings(ids.size() * model_.cols());
  ASSERT_EQ(tied_embed(session_.get(), ids.data(), ids.size(), embeddings.data(), embeddings.size(), nullptr), TIED_OK);
  EXPECT_EQ(embeddings, model_.Embed(ids));
}

TEST_F(TypedCalls, EmbedRefusesIdsOutsideTheVocabularyAndWritesNothing) {
  for (const int64_t bad : {int64_t{-1}, int64_t{19}, INT64_MAX, INT64_MIN}) {
    const std::vector<int64_t> ids = {1, bad};
    std::vector<float> embeddings(2 * model_.cols(), -7.0f);
    EXPECT_EQ(tied_embed(session_.get(), ids.data(), 2, embeddings.data(), embeddings.size(), &error_),
              TIED_OUT_OF_RANGE);
    EXPECT_NE(std::string(error_.message).find(std::to_string(bad)), std::string::npos) << error_.message;
    EXPECT_EQ(embeddings, std::vector<float>(2 * model_.cols(), -7.0f));
  }
}

TEST_F(TypedCalls, BuffersThatAreTooSmallAreRefused) {
  const int64_t id = 1;
  const std::vector<float> hidden = ExactHidden(model_.cols());
  std::vector<float> out(model_.rows(), -7.0f);
  EXPECT_EQ(tied_embed(session_.get(), &id, 1, out.data(), model_.cols() - 1, &error_), TIED_BUFFER_TOO_SMALL);
  EXPECT_EQ(tied_logits(session_.get(), hidden.data(), 1, out.data(), model_.rows() - 1, &error_),
            TIED_BUFFER_TOO_SMALL);
  EXPECT_EQ(out, std::vector<float>(model_.rows(), -7.0f));
}

TEST_F(TypedCalls, SizesThatWrapAreRefused) {
  const std::vector<float> hidden = ExactHidden(model_.cols());
  const int64_t id = 1;
  int64_t ids[1];
  float out[1];
  EXPECT_EQ(tied_embed(session_.get(), &id, SIZE_MAX / 2, out, 1, &error_), TIED_BUFFER_TOO_SMALL);
  EXPECT_EQ(tied_logits(session_.get(), hidden.data(), SIZE_MAX / 4, out, 1, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_topk(session_.get(), hidden.data(), SIZE_MAX / 4, 1, ids, out, &error_), TIED_INVALID_ARGUMENT);
}

TEST_F(TypedCalls, NothingHappensForNoTokens) {
  EXPECT_EQ(tied_embed(session_.get(), nullptr, 0, nullptr, 0, &error_), TIED_OK);
  EXPECT_EQ(tied_logits(session_.get(), nullptr, 0, nullptr, 0, &error_), TIED_OK);
  EXPECT_EQ(tied_argmax(session_.get(), nullptr, 0, nullptr, nullptr, &error_), TIED_OK);
}

TEST_F(TypedCalls, NullPointersAreNamed) {
  const std::vector<float> hidden = ExactHidden(model_.cols());
  const int64_t id = 0;
  EXPECT_EQ(tied_embed(session_.get(), nullptr, 1, nullptr, 0, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_NE(std::string(error_.message).find("ids"), std::string::npos);
  EXPECT_EQ(tied_embed(session_.get(), &id, 1, nullptr, 6, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_logits(session_.get(), nullptr, 1, nullptr, 0, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_logits(session_.get(), hidden.data(), 1, nullptr, 99, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_argmax(session_.get(), hidden.data(), 1, nullptr, nullptr, &error_), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_embed(nullptr, &id, 1, nullptr, 0, &error_), TIED_INVALID_ARGUMENT);
}

TEST_F(TypedCalls, KOutsideItsRangeIsRefused) {
  const std::vector<float> hidden = ExactHidden(model_.cols());
  std::vector<int64_t> ids(20, -7);
  for (const size_t k : {size_t{0}, model_.rows() + 1, SIZE_MAX}) {
    EXPECT_EQ(tied_topk(session_.get(), hidden.data(), 1, k, ids.data(), nullptr, &error_), TIED_INVALID_ARGUMENT);
  }
  EXPECT_EQ(ids, std::vector<int64_t>(20, -7));
}

TEST_F(TypedCalls, EqualLogitsGoToTheLowerId) {
  TestModel model(50, 3);
  std::fill(model.values().begin(), model.values().end(), 0.5f);
  std::fill(model.bias().begin(), model.bias().end(), 0.0f);
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  const SessionPtr session = MakeSession(open.get(), 3);
  const std::vector<float> hidden(3, 1.0f);
  std::vector<int64_t> ids(4);
  ASSERT_EQ(tied_topk(session.get(), hidden.data(), 1, 4, ids.data(), nullptr, nullptr), TIED_OK);
  EXPECT_EQ(ids, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST_F(TypedCalls, LogitsFollowIeeeWhereHiddenIsNotFinite) {
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> hidden(model_.cols(), 0.0f);
    hidden[2] = bad;
    std::vector<float> logits(model_.rows());
    ASSERT_EQ(tied_logits(session_.get(), hidden.data(), 1, logits.data(), logits.size(), nullptr), TIED_OK);
    for (size_t r = 0; r < model_.rows(); ++r) {
      const float expected = model_.Value(r, 2) * bad;
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(logits[r])) << r;
      } else {
        EXPECT_EQ(logits[r], expected) << r;
      }
    }
  }
}

TEST_F(TypedCalls, ArgmaxRefusesHiddenThatIsNotFinite) {
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> hidden = ExactHidden(2 * model_.cols());
    hidden[model_.cols() + 4] = bad;
    std::vector<int64_t> ids(2, -7);
    EXPECT_EQ(tied_argmax(session_.get(), hidden.data(), 2, ids.data(), nullptr, &error_), TIED_NOT_FINITE);
    EXPECT_NE(std::string(error_.message).find("token 1"), std::string::npos) << error_.message;
    EXPECT_EQ(ids, (std::vector<int64_t>{-7, -7}));
  }
}

TEST_F(TypedCalls, ArgmaxRefusesATableThatMakesNan) {
  TestModel model(19, 6);
  model.values()[7 * 6 + 3] = kNan;
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  const std::vector<float> hidden = ExactHidden(6);
  int64_t id = -7;
  EXPECT_EQ(tied_argmax(MakeSession(open.get(), 2).get(), hidden.data(), 1, &id, nullptr, &error_), TIED_NOT_FINITE);
  EXPECT_NE(std::string(error_.message).find("id 7"), std::string::npos) << error_.message;
  EXPECT_EQ(id, -7);
}

TEST_F(TypedCalls, ModelsWithoutAHeadOrAnEmbeddingSaySo) {
  TiedFile file = model_.MakeFile();
  file.header.entry_points.pop_back();
  const std::string no_head = file.Bytes();
  const ModelPtr open = OpenMemory(no_head);
  const std::vector<float> hidden = ExactHidden(6);
  int64_t id = 0;
  EXPECT_EQ(tied_argmax(MakeSession(open.get(), 1).get(), hidden.data(), 1, &id, nullptr, &error_), TIED_UNSUPPORTED);
}

TEST_F(TypedCalls, OfCppThrowTheStatus) {
  Model model = Model::OpenMemory(file_.data(), file_.size());
  Session session(model);
  model.Trim();
  const std::vector<float> hidden = ExactHidden(2 * model_.cols());
  EXPECT_EQ(session.Logits(hidden), model_.Logits(hidden));
  const auto status_of = [](const auto& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.status();
    }
    return tied_status{TIED_OK};
  };
  std::vector<int64_t> ids(2);
  std::vector<float> logits(2);
  EXPECT_EQ(status_of([&] { session.Argmax(hidden, ids, logits); }), TIED_OK);
  EXPECT_EQ(status_of([&] { session.Argmax(hidden, ids, Span<float>(logits.data(), 0)); }), TIED_OK);
  EXPECT_EQ(status_of([&] { session.Argmax(hidden, Span<int64_t>(ids.data(), 1)); }), TIED_BUFFER_TOO_SMALL);
  EXPECT_EQ(status_of([&] { session.Argmax(hidden, ids, Span<float>(logits.data(), 1)); }), TIED_BUFFER_TOO_SMALL);
  EXPECT_EQ(status_of([&] { session.Logits(Span<const float>(hidden.data(), 7)); }), TIED_INVALID_ARGUMENT);
}

TEST(SessionOptions, AreChecked) {
  const TestModel model(3, 2);
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  tied_session* session = nullptr;
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  for (const int threads : {-1, 257, INT32_MAX, INT32_MIN}) {
    options.threads = threads;
    EXPECT_EQ(tied_session_create(open.get(), &options, &session, nullptr), TIED_INVALID_ARGUMENT) << threads;
  }
  options = TIED_SESSION_OPTIONS_INIT;
  options.xnnpack_min_tokens = -1;
  EXPECT_EQ(tied_session_create(open.get(), &options, &session, nullptr), TIED_INVALID_ARGUMENT);
  options = {};
  EXPECT_EQ(tied_session_create(open.get(), &options, &session, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(session, nullptr);
  EXPECT_EQ(tied_session_threads(MakeSession(open.get(), 3).get()), 3u);
  EXPECT_GE(tied_session_threads(MakeSession(open.get(), 0).get()), 1u);
  EXPECT_EQ(tied_session_threads(nullptr), 0u);
}

}  // namespace
}  // namespace tied::test
