// tied_beam_step() against log-softmax over the whole vocabulary and a sort of all sums, in float64.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <tied/tied.hpp>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 1009;
constexpr size_t kCols = 48;

// logits: [beams, rows] from the scalar definition. is_allowed: of a row.
BeamResult Expected(const std::vector<float>& logits, const std::vector<double>& scores, size_t count,
                    const std::function<bool(size_t)>& is_allowed) {
  std::vector<double> sums(logits.size(), -INFINITY);
  std::vector<size_t> order;
  for (size_t beam = 0; beam < scores.size(); ++beam) {
    const float* of_beam = logits.data() + beam * kRows;
    long double sum = 0;
    for (size_t row = 0; row < kRows; ++row) {
      if (is_allowed(row)) sum += std::exp(static_cast<long double>(of_beam[row]));
    }
    for (size_t row = 0; row < kRows; ++row) {
      if (!is_allowed(row)) continue;
      sums[beam * kRows + row] = scores[beam] + (double{of_beam[row]} - static_cast<double>(std::log(sum)));
      order.push_back(beam * kRows + row);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return sums[a] > sums[b]; });
  BeamResult expected;
  for (size_t i = 0; i < count; ++i) {
    expected.parents.push_back(static_cast<int32_t>(order[i] / kRows));
    expected.ids.push_back(static_cast<int64_t>(order[i] % kRows));
    expected.scores.push_back(sums[order[i]]);
  }
  return expected;
}

void ExpectSame(const BeamResult& expected, const BeamResult& result, double tolerance) {
  EXPECT_EQ(expected.parents, result.parents);
  EXPECT_EQ(expected.ids, result.ids);
  for (size_t i = 0; i < expected.scores.size(); ++i) {
    if (expected.scores[i] != result.scores[i]) {
      EXPECT_NEAR(expected.scores[i], result.scores[i], tolerance) << i;
    }
  }
}

class Beams : public testing::Test {
 protected:
  explicit Beams(bool screened = true) {
    TiedFile file = model_.MakeFile();
    if (screened) AddScreen(&file, kRows, kCols, RandomModel(model_).values());
    file_ = file.Bytes();
    open_ = std::make_unique<Model>(Model::OpenMemory(file_.data(), file_.size()));
    session_ = std::make_unique<Session>(*open_, SessionOptions{2, true, 0});
  }

  static std::vector<float> Hidden(size_t beams) { return MakeNumbers(Numbers::kNormal, beams * kCols, 11); }
  static std::vector<double> Scores(size_t beams) {
    std::vector<double> scores(beams);
    for (size_t i = 0; i < beams; ++i) scores[i] = -2 - 0.37 * static_cast<double>(i * 5 % beams);
    return scores;
  }

  const RandomModel model_{kRows, kCols};
  std::string file_;
  std::unique_ptr<Model> open_;
  std::unique_ptr<Session> session_;
};

class BeamStep : public Beams, public testing::WithParamInterface<std::tuple<bool, size_t, size_t>> {
 protected:
  BeamStep() : Beams(std::get<0>(GetParam())) {}
  const size_t beams_ = std::get<1>(GetParam());
  const size_t count_ = std::get<2>(GetParam());
};

TEST_P(BeamStep, FindsTheBestSumsOfAllBeams) {
  const std::vector<float> hidden = Hidden(beams_);
  const BeamResult expected =
      Expected(model_.ScalarLogits(hidden), Scores(beams_), count_, [](size_t) { return true; });
  ExpectSame(expected, session_->BeamStep(hidden, Scores(beams_), count_), 1e-11);
  TopkOptions rough;
  rough.log_z_tolerance = 1e-6;  // no two sums of different beams are that close
  ExpectSame(expected, session_->BeamStep(hidden, Scores(beams_), count_, rough), 1e-6);
}

TEST_P(BeamStep, OfTheAllowedIds) {
  const std::vector<float> hidden = Hidden(beams_);
  const auto is_allowed = [](size_t row) { return row % 3 != 1; };
  std::vector<uint8_t> bits((kRows + 7) / 8);
  for (size_t row = 0; row < kRows; ++row) {
    if (is_allowed(row)) bits[row / 8] = static_cast<uint8_t>(bits[row / 8] | 1u << row % 8);
  }
  TopkOptions options;
  options.allowed = bits;
  ExpectSame(Expected(model_.ScalarLogits(hidden), Scores(beams_), count_, is_allowed),
             session_->BeamStep(hidden, Scores(beams_), count_, options), 1e-11);
}

TEST_P(BeamStep, LeavesOutBeamsThatHaveNoScoreYet) {
  const std::vector<float> hidden = Hidden(beams_);
  std::vector<double> scores(beams_, -INFINITY);
  scores[beams_ / 2] = 0;
  const BeamResult result = session_->BeamStep(hidden, scores, count_);
  ExpectSame(Expected(model_.ScalarLogits(hidden), scores, count_, [](size_t) { return true; }), result, 1e-11);
  EXPECT_EQ(result.parents, std::vector<int32_t>(count_, static_cast<int32_t>(beams_ / 2)));
}

INSTANTIATE_TEST_SUITE_P(Sizes, BeamStep,
                         testing::Combine(testing::Bool(), testing::Values(1, 2, 5, 19), testing::Values(1, 10, 38)));

TEST_F(Beams, OfEqualSumsTheLowerBeamComesFirst) {
  std::vector<float> hidden = Hidden(1);
  hidden.insert(hidden.end(), hidden.begin(), hidden.begin() + kCols);
  const BeamResult result = session_->BeamStep(hidden, std::vector<double>{-1, -1}, 6);
  const TopkResult alone = session_->Topk(Span<const float>(hidden.data(), kCols), 3);
  EXPECT_EQ(result.parents, (std::vector<int32_t>{0, 1, 0, 1, 0, 1}));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(result.ids[i], alone.ids[i / 2]);
}

TEST_F(Beams, WritesNothingOnError) {
  std::vector<float> hidden = Hidden(2);
  const struct {
    std::vector<double> scores;
    size_t count;
    bool nan_hidden;
    double tolerance;
    tied_status status;
    const char* word;
  } cases[] = {{{0, NAN}, 4, false, 0, TIED_NOT_FINITE, "beam 1"},
               {{INFINITY, 0}, 4, false, 0, TIED_NOT_FINITE, "beam 0"},
               {{0, 0}, 0, false, 0, TIED_INVALID_ARGUMENT, "count is 0"},
               {{0, 0}, 1010, false, 0, TIED_INVALID_ARGUMENT, "1010"},
               {{0, 0}, 1025, false, 0, TIED_INVALID_ARGUMENT, "1025"},
               {{0, 0}, SIZE_MAX, false, 0, TIED_INVALID_ARGUMENT, "count"},
               {{0, 0}, 4, true, 0, TIED_NOT_FINITE, "hidden"},
               {{0, 0}, 4, false, -1, TIED_INVALID_ARGUMENT, "tolerance"}};
  for (const auto& c : cases) {
    std::vector<int32_t> parents(1025, -7);
    std::vector<int64_t> ids(1025, -7);
    std::vector<double> sums(1025, -7);
    const BeamResult untouched = {parents, ids, sums};
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.log_z_tolerance = c.tolerance;
    hidden[3] = c.nan_hidden ? NAN : 0;
    tied_error error = {};
    EXPECT_EQ(tied_beam_step(session_->get(), hidden.data(), c.scores.data(), 2, c.count, &options, parents.data(),
                             ids.data(), sums.data(), &error),
              c.status);
    EXPECT_NE(std::string(error.message).find(c.word), std::string::npos) << error.message;
    EXPECT_EQ(parents, untouched.parents);
    EXPECT_EQ(ids, untouched.ids);
    EXPECT_EQ(sums, untouched.scores);
  }
}

TEST_F(Beams, NullsAreRefusedUnlessThereAreNoBeams) {
  const std::vector<float> hidden = Hidden(1);
  const double score = 0;
  int32_t parent = 0;
  int64_t id = 0;
  double sum = 0;
  tied_session* session = session_->get();
  EXPECT_EQ(tied_beam_step(session, hidden.data(), &score, 1, 1, nullptr, &parent, &id, &sum, nullptr), TIED_OK);
  EXPECT_EQ(tied_beam_step(nullptr, hidden.data(), &score, 1, 1, nullptr, &parent, &id, &sum, nullptr),
            TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_beam_step(session, nullptr, &score, 1, 1, nullptr, &parent, &id, &sum, nullptr),
            TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_beam_step(session, hidden.data(), nullptr, 1, 1, nullptr, &parent, &id, &sum, nullptr),
            TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_beam_step(session, hidden.data(), &score, 1, 1, nullptr, nullptr, &id, &sum, nullptr),
            TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_beam_step(session, hidden.data(), &score, 1, 1, nullptr, &parent, nullptr, &sum, nullptr),
            TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_beam_step(session, hidden.data(), &score, 1, 1, nullptr, &parent, &id, nullptr, nullptr),
            TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_beam_step(session, nullptr, nullptr, 0, 1, nullptr, nullptr, nullptr, nullptr, nullptr), TIED_OK);
}

// A bias of infinity makes the log-probabilities of its beam NaN.
TEST(BeamStepOf, LogitsThatAreInfiniteIsRefused) {
  TestModel model(19, 6);
  model.bias()[3] = INFINITY;
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  const SessionPtr session = MakeSession(open.get(), 1);
  const std::vector<float> hidden = ExactHidden(6);
  const double score = 0;
  int32_t parent = -7;
  int64_t id = -7;
  double sum = -7;
  EXPECT_EQ(tied_beam_step(session.get(), hidden.data(), &score, 1, 1, nullptr, &parent, &id, &sum, nullptr),
            TIED_NOT_FINITE);
  EXPECT_EQ(id, -7);
}

}  // namespace
}  // namespace tied::test
