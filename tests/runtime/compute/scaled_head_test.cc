// Heads with a scale and a soft cap, in every call, compared with the scalar logits of scaled hidden states, capped.
#include <algorithm>
#include <cmath>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr size_t kRowCount = 700, kColCount = 48, kTokens = 3, kBest = 7;

struct HeadForm {
  float scale;
  float soft_cap;
  format::DataType type;
  bool screen;
};
std::ostream& operator<<(std::ostream& out, const HeadForm& form) {
  return out << "scale " << form.scale << " cap " << form.soft_cap << " type " << static_cast<int>(form.type)
             << (form.screen ? " screened" : "");
}

class ScaledHeads : public testing::TestWithParam<HeadForm> {
 protected:
  ScaledHeads() : model_(kRowCount, kColCount), hidden_(kTokens * kColCount) {
    for (size_t i = 0; i < hidden_.size(); ++i) hidden_[i] = std::sin(static_cast<float>(i * i + 1)) * 3;
    file_ = Bytes(GetParam().scale, GetParam().soft_cap);
    open_ = OpenMemory(file_);
    session_ = MakeSession(open_.get(), 2);
    // A head without scale and soft cap, on hidden states that are already scaled.
    plain_file_ = Bytes(1, 0);
    plain_ = OpenMemory(plain_file_);
    std::vector<float> scaled = hidden_;
    for (float& x : scaled) x *= GetParam().scale;
    uncapped_.resize(kTokens * kRowCount);
    const SessionPtr session = MakeSession(plain_.get(), 1);
    EXPECT_EQ(tied_logits(session.get(), scaled.data(), kTokens, uncapped_.data(), uncapped_.size(), nullptr), TIED_OK);
    logits_.resize(uncapped_.size());
    EXPECT_EQ(tied_logits(session_.get(), hidden_.data(), kTokens, logits_.data(), logits_.size(), nullptr), TIED_OK);
  }

  std::string Bytes(float scale, float soft_cap) {
    TiedFile file = model_.MakeFile();
    std::vector<float> values = model_.values();  // which are rounded
    StoreTable(&file, {GetParam().type, false, false, GetParam().screen}, kRowCount, kColCount, &values);
    format::HeadT& head = *file.header.entry_points[1]->ops[0]->operation.AsHead();
    head.scale = scale;
    head.soft_cap = soft_cap;
    return file.Bytes();
  }

  RandomModel model_;
  std::vector<float> hidden_;
  std::string file_, plain_file_;
  ModelPtr open_, plain_;
  SessionPtr session_;
  std::vector<float> uncapped_, logits_;
};

TEST_P(ScaledHeads, CapTheLogitsOfScaledHiddenStates) {
  const float cap = GetParam().soft_cap;
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (cap == 0) {
      ASSERT_EQ(logits_[i], uncapped_[i]);
    } else {
      ASSERT_NEAR(logits_[i], cap * std::tanh(uncapped_[i] / cap), 3e-7 * cap);
    }
  }
}

TEST_P(ScaledHeads, RankByTheLogitsBeforeTheCap) {
  for (const int use_screen : {0, 1}) {
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.use_screen = use_screen;
    std::vector<int64_t> ids(kTokens * kBest);
    std::vector<float> values(ids.size());
    tied_topk_result result = {ids.data(), values.data(), nullptr, nullptr, nullptr, nullptr};
    ASSERT_EQ(tied_topk_with(session_.get(), hidden_.data(), kTokens, kBest, &options, &result, nullptr), TIED_OK);
    for (size_t t = 0; t < kTokens; ++t) {
      const auto first = uncapped_.begin() + static_cast<std::ptrdiff_t>(t * kRowCount);
      const std::vector<float> of_token(first, first + kRowCount);
      const std::vector<int64_t> best = model_.Best(of_token, kBest);
      for (size_t i = 0; i < kBest; ++i) {
        EXPECT_EQ(ids[t * kBest + i], best[i]);
        EXPECT_EQ(values[t * kBest + i], logits_[t * kRowCount + static_cast<size_t>(best[i])]);
      }
    }
  }
}

TEST_P(ScaledHeads, SumTheLogitsAsTheyAreCapped) {
  for (const double tolerance : {0.0, 0.01}) {
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.log_z_tolerance = tolerance;
    std::vector<int64_t> ids(kTokens);
    double log_z[kTokens], bound[kTokens];
    tied_topk_result result = {ids.data(), nullptr, log_z, bound, nullptr, nullptr};
    ASSERT_EQ(tied_topk_with(session_.get(), hidden_.data(), kTokens, 1, &options, &result, nullptr), TIED_OK);
    for (size_t t = 0; t < kTokens; ++t) {
      long double sum = 0;
      for (size_t r = 0; r < kRowCount; ++r) sum += std::exp(static_cast<long double>(logits_[t * kRowCount + r]));
      const auto exact = static_cast<double>(std::log(sum));
      EXPECT_LE(std::fabs(log_z[t] - exact), bound[t] + 1e-15);
      EXPECT_LE(bound[t], std::max(tolerance, 1e-9));
    }
  }
}

TEST_P(ScaledHeads, LeaveDeniedIdsAtMinusInfinityAndComputeListedOnes) {
  std::vector<uint8_t> allowed((kRowCount + 7) / 8, 0x55);
  std::vector<float> some(logits_.size());
  ASSERT_EQ(tied_logits_allowed(session_.get(), hidden_.data(), kTokens, allowed.data(), allowed.size(), some.data(),
                                some.size(), nullptr),
            TIED_OK);
  for (size_t i = 0; i < some.size(); ++i) ASSERT_EQ(some[i], i % kRowCount % 2 == 0 ? logits_[i] : -INFINITY);
  const std::vector<int64_t> ids = {5, 699, 5, 0};
  std::vector<float> listed(kTokens * ids.size());
  ASSERT_EQ(tied_logits_of(session_.get(), hidden_.data(), kTokens, ids.data(), ids.size(), listed.data(),
                           listed.size(), nullptr),
            TIED_OK);
  for (size_t i = 0; i < listed.size(); ++i) {
    EXPECT_EQ(listed[i], logits_[i / ids.size() * kRowCount + static_cast<size_t>(ids[i % ids.size()])]);
  }
}

TEST_P(ScaledHeads, AreTheSameThroughXnnpackUpToRounding) {
  constexpr size_t kMany = 33;
  std::vector<float> hidden(kMany * kColCount);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = hidden_[i % hidden_.size()];
  std::vector<float> fast(kMany * kRowCount);
  const SessionPtr session = MakeSession(open_.get(), 2, /*deterministic=*/false);
  ASSERT_EQ(tied_logits(session.get(), hidden.data(), kMany, fast.data(), fast.size(), nullptr), TIED_OK);
  for (size_t i = 0; i < fast.size(); ++i) {
    const float wanted = logits_[i % logits_.size()];
    ASSERT_NEAR(fast[i], wanted, 2e-3 * std::max(1.0F, std::fabs(wanted)));
  }
}

TEST_P(ScaledHeads, DescribeThemselves) {
  tied_head_info info = TIED_HEAD_INFO_INIT;
  ASSERT_EQ(tied_model_get_head(open_.get(), &info, nullptr), TIED_OK);
  EXPECT_EQ(info.scale, GetParam().scale);
  EXPECT_EQ(info.soft_cap, GetParam().soft_cap);
  tied_op_info op = {};
  ASSERT_EQ(tied_model_get_op(open_.get(), 1, 0, &op, nullptr), TIED_OK);
  EXPECT_EQ(op.scale, GetParam().scale);
  EXPECT_EQ(op.soft_cap, GetParam().soft_cap);
}

constexpr format::DataType kFloat32 = format::DataType::Float32;
INSTANTIATE_TEST_SUITE_P(All, ScaledHeads,
                         testing::Values(HeadForm{1, 0, kFloat32, false}, HeadForm{0.0625F, 0, kFloat32, true},
                                         HeadForm{0.3F, 30, kFloat32, true}, HeadForm{-1.7F, 5, kFloat32, true},
                                         HeadForm{1, 0.5F, format::DataType::Float16, true},
                                         HeadForm{0.7F, 3, format::DataType::Int8, false},
                                         HeadForm{0.7F, 3, format::DataType::Int4, false}));

TEST(ScaledHead, HiddenStatesThatOverflowWhenTheyAreScaledAreNotFinite) {
  RandomModel model(16, 8);
  TiedFile file = model.MakeFile();
  file.header.entry_points[1]->ops[0]->operation.AsHead()->scale = 1e30F;
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const SessionPtr session = MakeSession(open.get(), 1);
  const std::vector<float> hidden(8, 1e30F);
  int64_t id = -1;
  EXPECT_EQ(tied_argmax(session.get(), hidden.data(), 1, &id, nullptr, nullptr), TIED_NOT_FINITE);
  EXPECT_EQ(id, -1);
}

TEST(ScaledHead, ScalesAndCapsThatAreNotFiniteOrNegativeAreRefused) {
  const std::pair<float, float> bad[] = {{INFINITY, 0}, {NAN, 0}, {1, INFINITY}, {1, NAN}, {1, -1}};
  for (const auto& [scale, cap] : bad) {
    RandomModel model(16, 8);
    TiedFile file = model.MakeFile();
    file.header.entry_points[1]->ops[0]->operation.AsHead()->scale = scale;
    file.header.entry_points[1]->ops[0]->operation.AsHead()->soft_cap = cap;
    const Failure failure = OpenFailure(file.Bytes());
    EXPECT_EQ(failure.status, TIED_CORRUPT) << scale << ' ' << cap;
    EXPECT_NE(failure.message.find("a soft cap of"), std::string::npos) << failure.message;
  }
}

}  // namespace
}  // namespace tied::test
