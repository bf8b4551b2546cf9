// Compares tables without the rows of some token ids with the complete table.
#include <cmath>
#include <limits>
#include <set>

#include "tests/runtime/model_fixture.h"
#include "tests/support/kept_rows.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

namespace fb = tied::format;

// A prime, so that only planes with an entry for each row have a length that is a multiple of it.
constexpr size_t kRows = 211, kCols = 33, kTokens = 9;

enum class Keep { kSome, kFront, kOne, kAll };
std::ostream& operator<<(std::ostream& out, Keep keep) {
  static constexpr const char* kNames[] = {"Some", "Front", "One", "All"};
  return out << kNames[static_cast<int>(keep)];
}

std::vector<uint32_t> KeptIds(Keep keep) {
  if (keep == Keep::kOne) return {7};
  std::vector<uint32_t> ids;
  for (uint32_t id = 0; id < kRows; ++id) {
    const bool some = id % 3 != 1 && id > 4 && id < 200, front = id < 150;
    if (keep == Keep::kAll || (keep == Keep::kSome ? some : front)) ids.push_back(id);
  }
  return ids;
}

struct Kept {
  explicit Kept(const TableForm& form, Keep keep) : model(kRows, kCols), ids(KeptIds(keep)) {
    TiedFile full = model.MakeFile();
    StoreTable(&full, form, kRows, kCols, &model.values());
    full_file = full.Bytes();
    file = KeepRows(std::move(full), ids).Bytes();
    full_open = OpenMemory(full_file);
    open = OpenMemory(file);
    hidden = MakeNumbers(Numbers::kNormal, kTokens * kCols, 5);
  }

  bool Has(size_t id) const { return std::count(ids.begin(), ids.end(), id) > 0; }

  // Logits of the complete table.
  std::vector<float> FullLogits() const { return Logits(full_open.get(), 1, true); }

  std::vector<float> Logits(tied_model* of, int threads, bool deterministic) const {
    const SessionPtr session = MakeSession(of, threads, deterministic);
    std::vector<float> logits(kTokens * kRows, 7.0f);
    EXPECT_EQ(tied_logits(session.get(), hidden.data(), kTokens, logits.data(), logits.size(), nullptr), TIED_OK);
    return logits;
  }

  // Logits of the complete table, with -infinity for ids that have no row or are not allowed.
  template <class Allowed>
  std::vector<float> Expected(const Allowed& allowed) const {
    std::vector<float> logits = FullLogits();
    for (size_t i = 0; i < logits.size(); ++i) {
      if (!Has(i % kRows) || !allowed(i % kRows)) logits[i] = -INFINITY;
    }
    return logits;
  }
  std::vector<float> Expected() const {
    return Expected([](size_t) { return true; });
  }

  RandomModel model;
  std::vector<uint32_t> ids;
  std::string full_file;
  std::string file;
  ModelPtr full_open;
  ModelPtr open;
  std::vector<float> hidden;
};

class Ids : public testing::TestWithParam<std::tuple<TableForm, Keep>> {
 protected:
  Ids() : kept_(std::get<0>(GetParam()), std::get<1>(GetParam())) {}

  tied_status Topk(size_t k, const tied_topk_options& options, std::vector<int64_t>* ids, std::vector<float>* logits,
                   std::vector<double>* log_z) {
    const SessionPtr session = MakeSession(kept_.open.get(), 2);
    ids->assign(kTokens * k, -1);
    logits->assign(kTokens * k, NAN);
    log_z->assign(kTokens, NAN);
    const tied_topk_result result = {ids->data(), logits->data(), log_z->data(), nullptr, nullptr, nullptr};
    return tied_topk_with(session.get(), kept_.hidden.data(), kTokens, k, &options, &result, nullptr);
  }

  // Expects the first k of the sorted logits, and the log of the sum of their exponentials.
  void ExpectTopk(const tied_topk_options& options, const std::vector<float>& logits) {
    const auto finite = [](float logit) { return std::isfinite(logit); };
    const auto allowed = static_cast<size_t>(std::count_if(logits.begin(), logits.begin() + kRows, finite));
    std::vector<int64_t> ids;
    std::vector<float> best;
    std::vector<double> log_z;
    for (const size_t k : std::set<size_t>{1, std::min<size_t>(3, allowed), allowed}) {
      ASSERT_EQ(Topk(k, options, &ids, &best, &log_z), TIED_OK);
      EXPECT_EQ(ids, kept_.model.Best(logits, k));
      for (size_t i = 0; i < ids.size(); ++i) {
        ASSERT_EQ(best[i], logits[i / k * kRows + static_cast<size_t>(ids[i])]);
      }
      for (size_t t = 0; t < kTokens; ++t) {
        double sum = 0;
        for (size_t id = 0; id < kRows; ++id) sum += std::exp(static_cast<double>(logits[t * kRows + id]));
        EXPECT_NEAR(log_z[t], std::log(sum), options.log_z_tolerance + 1e-9);
      }
    }
    EXPECT_EQ(Topk(allowed + 1, options, &ids, &best, &log_z), TIED_INVALID_ARGUMENT);
  }

  const Kept kept_;
};

TEST_P(Ids, EmbedFindsTheRowOrSaysThatItWasDropped) {
  const SessionPtr session = MakeSession(kept_.open.get(), 1);
  tied_error error = {};
  for (int64_t id = -1; id <= static_cast<int64_t>(kRows); ++id) {
    const bool in_range = id >= 0 && id < static_cast<int64_t>(kRows);
    const bool has = in_range && kept_.Has(static_cast<size_t>(id));
    const int64_t ids[] = {kept_.ids[0], id};
    std::vector<float> embeddings(2 * kCols, 7.0f);
    const std::vector<float> before = embeddings;
    const tied_status status = tied_embed(session.get(), ids, 2, embeddings.data(), embeddings.size(), &error);
    ASSERT_EQ(status, has ? TIED_OK : TIED_OUT_OF_RANGE) << id;
    EXPECT_EQ(embeddings, has ? kept_.model.Embed({ids[0], ids[1]}) : before);
    if (has) continue;
    const std::string what = "token id " + std::to_string(id) + " at position 1 ";
    EXPECT_EQ(error.message, what + (in_range ? "was dropped when the model was converted" : "is not in [0, 211)"));
  }
}

TEST_P(Ids, LogitsAreThoseOfTheWholeTable) {
  const std::vector<float> expected = kept_.Expected();
  EXPECT_EQ(FirstDifference(kept_.Logits(kept_.open.get(), 1, true), expected), -1);
  EXPECT_EQ(FirstDifference(kept_.Logits(kept_.open.get(), 3, true), expected), -1);
}

// Two sums of the same products are each within gamma of the exact sum. For an integer table, XNNPACK multiplies the
// float hidden states; the kernels, which compute the last row, multiply their quantised activations.
TEST_P(Ids, LogitsThroughXnnpackAreNearThoseOfTheWholeTable) {
  const std::vector<float> logits = kept_.Logits(kept_.open.get(), 2, false);
  const std::vector<float> full = kept_.Logits(kept_.full_open.get(), 2, false);
  RandomModel model = kept_.model;
  for (size_t i = 0; i < logits.size(); ++i) {
    const size_t id = i % kRows;
    if (!kept_.Has(id)) {
      ASSERT_EQ(logits[i], -INFINITY);
      continue;
    }
    const float* row = &model.values()[id * kCols];
    const float* hidden = &kept_.hidden[i / kRows * kCols];
    const double magnitude = ExactDot(row, hidden, kCols).magnitude + std::fabs(static_cast<double>(model.Bias(id)));
    const double step_error = StepError(std::get<0>(GetParam()), row, hidden, kCols);
    ASSERT_NEAR(logits[i], full[i], 2 * Gamma(kCols + 4) * magnitude + step_error) << i;
  }
}

TEST_P(Ids, LogitsOfTakesIdsInAnyOrderDroppedOnesIncluded) {
  const SessionPtr session = MakeSession(kept_.open.get(), 2);
  std::vector<int64_t> ids;
  for (size_t i = 0; i < 2 * kRows; ++i) ids.push_back(static_cast<int64_t>(i * 89 % kRows));
  std::vector<float> logits(kTokens * ids.size());
  ASSERT_EQ(tied_logits_of(session.get(), kept_.hidden.data(), kTokens, ids.data(), ids.size(), logits.data(),
                           logits.size(), nullptr),
            TIED_OK);
  const std::vector<float> expected = kept_.Expected();
  for (size_t i = 0; i < logits.size(); ++i) {
    ASSERT_EQ(logits[i], expected[i / ids.size() * kRows + static_cast<size_t>(ids[i % ids.size()])]) << i;
  }
  ids[3] = kRows;
  EXPECT_EQ(tied_logits_of(session.get(), kept_.hidden.data(), kTokens, ids.data(), ids.size(), logits.data(),
                           logits.size(), nullptr),
            TIED_OUT_OF_RANGE);
}

TEST_P(Ids, TopkIsTheFrontOfTheSortedLogits) {
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  ExpectTopk(options, kept_.Expected());
  options.use_screen = 0;
  ExpectTopk(options, kept_.Expected());
  options = TIED_TOPK_OPTIONS_INIT;
  options.log_z_tolerance = 0.01;
  ExpectTopk(options, kept_.Expected());
}

TEST_P(Ids, AllowedIdsAreThoseOfTheWholeVocabulary) {
  std::vector<uint8_t> bits((kRows + 7) / 8, 0);
  const auto allowed = [](size_t id) { return id % 2 != 0 || id > 140; };
  for (size_t id = 0; id < kRows; ++id) bits[id / 8] = static_cast<uint8_t>(bits[id / 8] | allowed(id) << id % 8);
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.allowed = bits.data();
  options.allowed_bytes = bits.size();
  ExpectTopk(options, kept_.Expected(allowed));

  std::vector<int64_t> listed;
  for (int64_t id = kRows - 1; id >= 0; id -= id % 7 == 0 ? 3 : 1) listed.push_back(id);
  options.row_ids = listed.data();
  options.row_count = listed.size();
  const auto both = [&](size_t id) { return allowed(id) && std::count(listed.begin(), listed.end(), id) > 0; };
  ExpectTopk(options, kept_.Expected(both));
  options.allowed = nullptr;
  ExpectTopk(options, kept_.Expected([&](size_t id) { return std::count(listed.begin(), listed.end(), id) > 0; }));

  const SessionPtr session = MakeSession(kept_.open.get(), 2);
  std::vector<float> logits(kTokens * kRows);
  ASSERT_EQ(tied_logits_allowed(session.get(), kept_.hidden.data(), kTokens, bits.data(), bits.size(), logits.data(),
                                logits.size(), nullptr),
            TIED_OK);
  EXPECT_EQ(FirstDifference(logits, kept_.Expected(allowed)), -1);
  EXPECT_EQ(tied_logits_allowed(session.get(), kept_.hidden.data(), kTokens, bits.data(), bits.size() - 1,
                                logits.data(), logits.size(), nullptr),
            TIED_INVALID_ARGUMENT);
}

TEST_P(Ids, AreDescribedAndSound) {
  tied_table_info info = {};
  ASSERT_EQ(tied_model_get_table(kept_.open.get(), 0, &info, nullptr), TIED_OK);
  EXPECT_EQ(info.rows, kept_.ids.size());
  EXPECT_EQ(info.vocabulary, kRows);
  if (kept_.ids.back() < kept_.ids.size()) {
    EXPECT_EQ(info.ids.length, 0u);
    EXPECT_EQ(info.id_of_row, nullptr);
  } else {
    EXPECT_EQ(info.ids.length, 4 * kept_.ids.size());
    EXPECT_EQ(std::vector<uint32_t>(info.id_of_row, info.id_of_row + info.rows), kept_.ids);
  }
  tied_error error = {};
  EXPECT_EQ(tied_model_verify(kept_.open.get(), &error), TIED_OK) << error.message;
}

std::string Name(const testing::TestParamInfo<Ids::ParamType>& test) {
  return testing::PrintToString(std::get<0>(test.param)) + "_" + testing::PrintToString(std::get<1>(test.param));
}
INSTANTIATE_TEST_SUITE_P(Formats, Ids,
                         testing::Combine(testing::ValuesIn(AllTableForms()), testing::Values(Keep::kSome)), Name);
INSTANTIATE_TEST_SUITE_P(Shapes, Ids,
                         testing::Combine(testing::Values(TableForm{fb::DataType::Float32},
                                                          TableForm{fb::DataType::Float32, false, false, true}),
                                          testing::Values(Keep::kFront, Keep::kOne, Keep::kAll)),
                         Name);

// tied_run() with outputs that the graph declares for the whole vocabulary.
TEST(IdsRun, LogitsAndLogSoftmaxHaveTheDeclaredShape) {
  for (const bool log_softmax : {false, true}) {
    const Kept kept({fb::DataType::Float32}, Keep::kSome);
    TiedFile full = kept.model.MakeFile();
    full.header.entry_points[1]->ops[0]->operation.AsHead()->log_softmax = log_softmax;
    const std::string file = KeepRows(std::move(full), kept.ids).Bytes();
    const ModelPtr model = OpenMemory(file);
    const SessionPtr session = MakeSession(model.get(), 2);
    std::vector<float> hidden = kept.hidden;
    const tied_tensor input = {
        "pre_logits", TIED_FLOAT32, 3, {3, kTokens / 3, kCols}, hidden.data(), hidden.size() * sizeof(float)};
    std::vector<float> logits(kTokens * kRows);
    tied_tensor output = {"logits", TIED_FLOAT32, 0, {}, logits.data(), logits.size() * sizeof(float)};
    tied_error error = {};
    ASSERT_EQ(tied_run(session.get(), "head", &input, 1, &output, 1, &error), TIED_OK) << error.message;
    EXPECT_EQ(std::vector<int64_t>(output.dims, output.dims + output.rank), (std::vector<int64_t>{3, 3, kRows}));
    std::vector<float> expected = kept.Expected();
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    double log_z[kTokens];
    int64_t best[kTokens];
    const tied_topk_result result = {best, nullptr, log_z, nullptr, nullptr, nullptr};
    ASSERT_EQ(tied_topk_with(session.get(), hidden.data(), kTokens, 1, &options, &result, nullptr), TIED_OK);
    for (size_t i = 0; log_softmax && i < expected.size(); ++i) {
      expected[i] = static_cast<float>(static_cast<double>(expected[i]) - log_z[i / kRows]);
    }
    EXPECT_EQ(FirstDifference(logits, expected), -1);
  }
}

// An infinite logit and a NaN logit, in the same tile and in different tiles.
TEST(LogSoftmax, OfNanIsNan) {
  for (const size_t nan_row : {size_t{1}, size_t{5000}}) {
    TestModel model(6000, 8);
    std::fill_n(&model.values()[0], 8, INFINITY);
    model.values()[nan_row * 8] = NAN;
    TiedFile file = model.MakeFile();
    file.header.entry_points[1]->ops[0]->operation.AsHead()->log_softmax = true;
    StoreTable(&file, {fb::DataType::Float32}, 6000, 8, &model.values());
    const std::string bytes = file.Bytes();
    const ModelPtr open = OpenMemory(bytes);
    std::vector<float> hidden(8, 1.0f), logits(6000);
    const tied_tensor input = {"pre_logits", TIED_FLOAT32, 3, {1, 1, 8}, hidden.data(), 32};
    tied_tensor output = {"logits", TIED_FLOAT32, 0, {}, logits.data(), logits.size() * sizeof(float)};
    ASSERT_EQ(tied_run(MakeSession(open.get(), 2).get(), "head", &input, 1, &output, 1, nullptr), TIED_OK);
    for (const float logit : logits) ASSERT_TRUE(std::isnan(logit));
  }
}

TEST(IdsRun, NanIsNamedByItsId) {
  RandomModel model(kRows, kCols);
  model.values()[100 * kCols] = NAN;
  const std::string file = KeepRows(model.MakeFile(), {3, 100, 150}).Bytes();
  const ModelPtr open = OpenMemory(file);
  const SessionPtr session = MakeSession(open.get(), 1);
  const std::vector<float> hidden(kCols, 1.0f);
  int64_t best = 0;
  tied_error error = {};
  EXPECT_EQ(tied_argmax(session.get(), hidden.data(), 1, &best, nullptr, &error), TIED_NOT_FINITE);
  EXPECT_STREQ(error.message, "the logit of token id 100 is NaN");
}

struct BadMap {
  const char* name;
  std::vector<uint32_t> ids;
  uint64_t vocabulary;
  const char* word;  // in the message
};
std::ostream& operator<<(std::ostream& out, const BadMap& map) { return out << map.name; }

class InvalidIds : public testing::TestWithParam<BadMap> {};

TEST_P(InvalidIds, AreRefusedAtOpen) {
  const TestModel model(3, 6);
  TiedFile file = model.MakeFile();
  file.header.tables[0]->vocabulary = GetParam().vocabulary;
  file.header.tables[0]->ids = std::make_unique<fb::Plane>(file.AddPlane(GetParam().ids));
  const Failure failure = OpenFailure(file.Bytes());
  EXPECT_EQ(failure.status, *GetParam().word == '\0' ? TIED_OK : TIED_CORRUPT);
  EXPECT_NE(failure.message.find(GetParam().word), std::string::npos) << failure.message;
}

const BadMap kBadMaps[] = {
    {"Right", {0, 5, 8}, 9, ""},
    {"Descending", {0, 5, 4}, 9, "row 2 has the token id 4"},
    {"Twice", {5, 5, 8}, 9, "row 1 has the token id 5"},
    {"AtTheVocabulary", {0, 5, 9}, 9, "below 9"},
    {"Negative", {0, 5, UINT32_MAX}, 9, "row 2"},
    {"WithoutAVocabulary", {0, 1, 3}, 0, "below 3"},
    {"TooShort", {0, 5}, 9, "token ids do not match"},
    {"TooLong", {0, 5, 7, 8}, 9, "token ids do not match"},
    {"NoIds", {}, 9, "token ids do not match"},
    {"FewerIdsThanRows", {0, 1, 2}, 2, "vocabulary of 2"},
    {"HugeVocabulary", {0, 1, 2}, uint64_t{1} << 31, "vocabulary of 2147483648"},
};
INSTANTIATE_TEST_SUITE_P(All, InvalidIds, testing::ValuesIn(kBadMaps), testing::PrintToStringParamName());

TEST(InvalidIds, VerifyNamesThePlane) {
  const TestModel model(3, 6);
  TiedFile file = model.MakeFile();
  file.header.tables[0]->vocabulary = 9;
  file.header.tables[0]->ids = std::make_unique<fb::Plane>(file.AddPlane(std::vector<uint32_t>{0, 5, 7}));
  std::string bytes = file.Bytes();
  bytes[bytes.size() - 4] = 8;
  const ModelPtr open = OpenMemory(bytes);
  tied_error error = {};
  EXPECT_EQ(tied_model_verify(open.get(), &error), TIED_CORRUPT);
  EXPECT_NE(std::string(error.message).find("token ids"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace tied::test
