// Compares top-k with a screen, over some of the rows, and with log_z, with the full pass over the table.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

struct Result {
  explicit Result(size_t tokens, size_t k)
      : ids(tokens * k), logits(tokens * k), log_z(tokens), bound(tokens), survivors(tokens) {}

  tied_topk_result Arrays(bool with_log_z) {
    return {ids.data(),       logits.data(), with_log_z ? log_z.data() : nullptr, with_log_z ? bound.data() : nullptr,
            survivors.data(), &bytes_read};
  }

  tied_status status = TIED_OK;
  tied_error error = {};
  std::vector<int64_t> ids;
  std::vector<float> logits;
  std::vector<double> log_z, bound;
  std::vector<uint64_t> survivors;
  uint64_t bytes_read = 0;
};

class Screened {
 public:
  // bias: factor on the biases.
  Screened(size_t rows, size_t cols, std::vector<float> values, float bias,
           format::DataType type = format::DataType::Float32, bool calibrated = false)
      : model_(rows, cols) {
    for (float& value : model_.bias()) value *= bias;
    model_.values() = std::move(values);
    TiedFile file = model_.MakeFile();
    StoreTable(&file, {type, false, false, true}, rows, cols, &model_.values());
    if (calibrated) AddScreen(&file, rows, cols, model_.values(), true);
    file_ = file.Bytes();
    open_ = OpenMemory(file_);
    session_ = MakeSession(open_.get(), 2);
  }

  Result Topk(const std::vector<float>& hidden, size_t k, const tied_topk_options& options,
              bool with_log_z = false) const {
    const size_t tokens = hidden.size() / model_.cols();
    Result result(tokens, k);
    const tied_topk_result arrays = result.Arrays(with_log_z);
    result.status = tied_topk_with(session_.get(), hidden.data(), tokens, k, &options, &arrays, &result.error);
    return result;
  }

  const RandomModel& model() const { return model_; }

 private:
  RandomModel model_;
  std::string file_;
  ModelPtr open_;
  SessionPtr session_;
};

tied_topk_options Options(bool use_screen) {
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.use_screen = use_screen;
  return options;
}

constexpr size_t kRows = 800, kCols = 136, kTokens = 8;  // two ranges of columns

// A table that is hard for a screen, with the hidden states of MakeHidden().
struct Adversary {
  const char* name;
  std::function<void(std::mt19937_64&, std::vector<float>&)> distort;
  float bias = 1;  // factor on the biases
};
std::ostream& operator<<(std::ostream& out, const Adversary& adversary) { return out << adversary.name; }

std::vector<float> MakeHidden(uint64_t seed) { return MakeNumbers(Numbers::kNormal, kTokens * kCols, 1000 + seed); }

template <class Change>
std::function<void(std::mt19937_64&, std::vector<float>&)> EachRow(const Change& change) {
  return [change](std::mt19937_64& random, std::vector<float>& values) {
    for (size_t r = 0; r < kRows; ++r) change(random, r, &values[r * kCols]);
  };
}

void Scale(float* row, float factor) {
  for (size_t k = 0; k < kCols; ++k) row[k] *= factor;
}

// Rows that the screen stores without a residual, so that only the rounding bounds separate them: the same integers in
// all rows, with a few changed by one.
std::function<void(std::mt19937_64&, std::vector<float>&)> HeldExactly(float step) {
  return [step](std::mt19937_64& random, std::vector<float>& values) {
    std::vector<int> activations(kCols);
    for (int& number : activations) number = static_cast<int>(random() % 253) - 126;
    for (size_t i = 0; i < values.size(); ++i) {
      const int number = activations[i % kCols] + (random() % 10 == 0 ? static_cast<int>(random() % 3) - 1 : 0);
      values[i] = step * static_cast<float>(i % kCols == 0 ? 127 : number);
    }
  };
}

const Adversary kAdversaries[] = {
    {"HeldExactly", HeldExactly(0x1p-7f)},
    {"HeldExactlyAndSubnormal", HeldExactly(0x1p-149f)},
    {"HeldExactlyBesideLargeBiases", HeldExactly(0x1p-7f), 0x1p20f},
    {"Random", [](std::mt19937_64&, std::vector<float>&) {}},
    {"OneUlpApart",
     [](std::mt19937_64& random, std::vector<float>& values) {
       for (size_t i = kCols; i < values.size(); ++i) {
         const float base = values[i % kCols];
         values[i] = random() % 8 != 0 ? base : std::nextafter(base, random() % 2 != 0 ? INFINITY : -INFINITY);
       }
     }},
    {"IdenticalRows", EachRow([](auto&, size_t r, float* row) {
       if (r % 5 != 0) std::copy_n(row - r % 5 * kCols, kCols, row);
     })},
    {"RowsOfZeros", EachRow([](auto& random, size_t, float* row) {
       if (random() % 3 != 0) Scale(row, 0);
     })},
    {"AllZeros", EachRow([](auto&, size_t, float* row) { Scale(row, 0); })},
    {"Subnormal", EachRow([](auto&, size_t, float* row) { Scale(row, 0x1p-135f); })},
    {"TinyAndHugeNorms", EachRow([](auto& random, size_t, float* row) {
       Scale(row, std::ldexp(1.0f, static_cast<int>(random() % 200) - 100));
     })},
    {"LogitsThatOverflow", EachRow([](auto& random, size_t, float* row) {
       if (random() % 50 == 0) Scale(row, 0x1p125f);
     })},
    {"OutlierColumns", EachRow([](auto& random, size_t, float* row) {
       row[3] *= 1000;
       row[random() % kCols] *= 300;
     })},
    {"ParallelToHidden",
     [](std::mt19937_64& random, std::vector<float>& values) {
       const std::vector<float> hidden = MakeHidden(0);
       for (size_t r = 0; r < kRows; r += static_cast<size_t>(1 + random() % 9)) {
         std::copy_n(&hidden[r % kTokens * kCols], kCols, &values[r * kCols]);
       }
     }},
    {"AllNegative", EachRow([](auto&, size_t, float* row) {
       for (size_t k = 0; k < kCols; ++k) row[k] = -std::fabs(row[k]);
     })},
};

class ScreenedTopk : public testing::TestWithParam<std::tuple<Adversary, format::DataType, bool>> {};

// Two tables, eight tokens and three k, of which the last is the largest that uses the screen, for each adversary,
// format and bias.
TEST_P(ScreenedTopk, HasTheBitsOfTheFullPass) {
  const auto& [adversary, type, with_bias] = GetParam();
  for (uint64_t seed = 0; seed < 2; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<float> values = MakeNumbers(Numbers::kNormal, kRows * kCols, seed);
    adversary.distort(random, values);
    const Screened model(kRows, kCols, values, with_bias ? adversary.bias : 0, type);
    const std::vector<float> hidden = MakeHidden(seed);
    for (const size_t k : {size_t{1}, size_t{10}, kRows / 8}) {
      const Result full = model.Topk(hidden, k, Options(false));
      const Result screened = model.Topk(hidden, k, Options(true));
      ASSERT_EQ(full.status, screened.status);
      ASSERT_STREQ(full.error.message, screened.error.message);
      ASSERT_EQ(full.ids, screened.ids) << "k " << k << ", seed " << seed;
      ASSERT_EQ(FirstDifference(full.logits, screened.logits), -1) << "k " << k << ", seed " << seed;
    }
  }
}

// Hidden states with huge numbers in the calibrated columns, and with none.
TEST(CalibratedScreen, HasTheBitsOfTheFullPass) {
  for (const Adversary& adversary : kAdversaries) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      std::mt19937_64 random(seed);
      std::vector<float> values = MakeNumbers(Numbers::kNormal, kRows * kCols, seed);
      adversary.distort(random, values);
      const Screened model(kRows, kCols, values, seed % 2 == 0 ? adversary.bias : 0, format::DataType::Float32, true);
      std::vector<float> hidden = MakeHidden(seed);
      for (size_t i = 0; i < hidden.size(); ++i) {
        const bool column = i % kCols < 32 && i % 2 == 0;
        if (i / kCols % 3 == 1 && column) hidden[i] *= 300;
        if (i / kCols % 3 == 2 && column) hidden[i] = 0;
      }
      for (const size_t k : {1u, 40u}) {
        const Result full = model.Topk(hidden, k, Options(false));
        const Result screened = model.Topk(hidden, k, Options(true));
        ASSERT_STREQ(full.error.message, screened.error.message);
        ASSERT_EQ(full.ids, screened.ids) << adversary.name << ", k " << k << ", seed " << seed;
        ASSERT_EQ(FirstDifference(full.logits, screened.logits), -1) << adversary.name;
      }
    }
  }
}

TEST(CalibratedScreen, LeavesFewerRowsWhereItsColumnsAreHuge) {
  constexpr size_t kManyRows = 2000, kWide = 1024;
  const std::vector<float> values = MakeNumbers(Numbers::kNormal, kManyRows * kWide, 1);
  std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kWide, 2);
  for (size_t k = 0; k < 32; k += 2) hidden[k] *= 30;
  const auto read = [&](bool calibrated) {
    const Screened model(kManyRows, kWide, values, 0, format::DataType::Float32, calibrated);
    return model.Topk(hidden, 10, Options(true)).bytes_read;
  };
  EXPECT_LT(read(true), read(false));
}

INSTANTIATE_TEST_SUITE_P(Adversaries, ScreenedTopk,
                         testing::Combine(testing::ValuesIn(kAdversaries),
                                          testing::Values(format::DataType::Float32, format::DataType::Float16,
                                                          format::DataType::BFloat16, format::DataType::Int8,
                                                          format::DataType::Uint8),
                                          testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  format::EnumNameDataType(std::get<1>(test.param)) +
                                  (std::get<2>(test.param) ? "Bias" : "");
                         });

class ManyRows : public testing::TestWithParam<format::DataType> {
 protected:
  static constexpr size_t kManyRows = 20000, kWide = 512;  // four ranges of columns, 64 bytes each

  Result Best(const std::vector<float>& hidden) const { return model_.Topk(hidden, 10, Options(true)); }
  // What is read of the lower nibbles and their norms.
  static uint64_t LowerBytes(const Result& result) {
    const bool is_float = GetParam() == format::DataType::Float32;
    const uint64_t upper = kManyRows * (kWide / 2 + (is_float ? 8 : 4));
    return result.bytes_read - upper - (is_float ? result.survivors[0] * kWide * 4 : 0);
  }

  const Screened model_{kManyRows, kWide, MakeNumbers(Numbers::kNormal, kManyRows* kWide, 1), 0, GetParam()};
  std::vector<float> hidden_ = MakeNumbers(Numbers::kNormal, kWide, 2);
};

TEST_P(ManyRows, FewAreLeftAndLittleIsRead) {
  const Result result = Best(hidden_);
  ASSERT_EQ(result.status, TIED_OK);
  EXPECT_LT(result.survivors[0], 100u);
  EXPECT_GE(result.survivors[0], 10u);
  EXPECT_LT(LowerBytes(result), kManyRows * kWide / 2 / 4);
}

TEST_P(ManyRows, AreReadFirstWhereTheHiddenStateIsLarge) {
  const auto bytes_with_energy_in = [&](size_t range) {
    std::vector<float> hidden = hidden_;
    for (size_t k = 0; k < kWide; ++k) hidden[k] = hidden_[k % 128] * (k / 128 == range ? 1 : 0.01f);
    return static_cast<double>(LowerBytes(Best(hidden)));
  };
  const double first = bytes_with_energy_in(0), third = bytes_with_energy_in(2);
  EXPECT_LT(third, 1.2 * first);
}

INSTANTIATE_TEST_SUITE_P(Formats, ManyRows, testing::Values(format::DataType::Float32, format::DataType::Int8),
                         [](const auto& test) { return format::EnumNameDataType(test.param); });

constexpr size_t kAlikeRows = 20000;
constexpr size_t kUpperBytes = (kCols + 31) / 32 * 16 + 8, kLowerBytes = (kCols + 31) / 32 * 16 + 4;

// Compares a top-10 through the screen with one without, and returns it.
Result BestOfAlike(const std::vector<float>& rows) {
  const Screened model(kAlikeRows, kCols, rows, 0);
  const std::vector<float> hidden = MakeHidden(0);
  const Result full = model.Topk(hidden, 10, Options(false));
  Result screened = model.Topk(hidden, 10, Options(true));
  EXPECT_EQ(screened.status, TIED_OK) << screened.error.message;
  EXPECT_EQ(screened.ids, full.ids);
  EXPECT_EQ(FirstDifference(screened.logits, full.logits), -1);
  return screened;
}

TEST(Screen, LeavesOutTheLowerPlaneIfItCannotTellRowsApart) {
  const Result result = BestOfAlike(std::vector<float>(kAlikeRows * kCols, 0.25f));
  EXPECT_EQ(result.survivors, std::vector<uint64_t>(kTokens, kAlikeRows));
  EXPECT_EQ(result.bytes_read, kAlikeRows * (kUpperBytes + kCols * 4));
}

// Rows of which only the lower plane tells which is better.
std::vector<float> SimilarRows() {
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> common(kCols), rows(kAlikeRows * kCols);
  for (float& value : common) value = normal(random);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = common[i % kCols] + 0.15f * normal(random);
  return rows;
}

TEST(Screen, ReadsTheWholeLowerPlaneIfOnlyThatTellsRowsApart) {
  const Result result = BestOfAlike(SimilarRows());
  const uint64_t computed = std::accumulate(result.survivors.begin(), result.survivors.end(), uint64_t{0});
  EXPECT_LT(computed, kAlikeRows / 10);
  EXPECT_EQ(result.bytes_read, kAlikeRows * (kUpperBytes + kLowerBytes) + computed * kCols * 4);
}

// It costs more than a full pass there. The call after the one that found that out, and no other number of tokens.
TEST(Screen, IsLeftOutForATableOfIntegersThatNeedsBothPlanes) {
  const Screened model(kAlikeRows, kCols, SimilarRows(), 0, format::DataType::Int8);
  const std::vector<float> hidden = MakeHidden(0);
  const auto is_left_out = [&](size_t tokens) {
    const Result result = model.Topk({hidden.data(), hidden.data() + tokens * kCols}, 10, Options(true));
    return result.survivors[0] == kAlikeRows;
  };
  EXPECT_FALSE(is_left_out(kTokens));
  EXPECT_TRUE(is_left_out(kTokens));
  EXPECT_FALSE(is_left_out(1));
  EXPECT_FALSE(is_left_out(kTokens));
}

class Restricted : public testing::Test {
 protected:
  static constexpr size_t kRows = 999;
  Restricted() {
    std::mt19937_64 random(3);
    for (size_t r = 0; r < kRows; ++r) {
      // Bytes that are all denied, all allowed, or mixed.
      const bool allows = r / 64 % 3 == 0 ? false : r / 64 % 3 == 1 ? true : random() % 4 == 0;
      if (allows) allowed_[r / 8] = static_cast<uint8_t>(allowed_[r / 8] | 1u << r % 8);
      if (allows) rows_.push_back(static_cast<int64_t>(r));
    }
  }

  void ExpectBestOfRows(const tied_topk_options& given, const std::vector<int64_t>& rows) const {
    const std::vector<float> logits = model_.model().ScalarLogits(hidden_);
    for (const bool screen : {false, true}) {
      tied_topk_options options = given;
      options.use_screen = screen;
      options.log_z_tolerance = screen ? 1 : 0;  // 0 disables the screen
      for (const size_t k : {size_t{1}, size_t{10}, rows.size()}) {
        const Result result = model_.Topk(hidden_, k, options, /*with_log_z=*/true);
        ASSERT_EQ(result.status, TIED_OK) << result.error.message;
        EXPECT_EQ(result.survivors[0] < rows.size(), screen && k <= rows.size() / 8) << result.survivors[0];
        for (size_t t = 0; t < 3; ++t) {
          std::vector<int64_t> best = rows;
          std::stable_sort(best.begin(), best.end(), [&](int64_t a, int64_t b) {
            return logits[t * kRows + static_cast<size_t>(a)] > logits[t * kRows + static_cast<size_t>(b)];
          });
          long double sum = 0;
          for (const int64_t row : rows)
            sum += std::exp(static_cast<long double>(logits[t * kRows + static_cast<size_t>(row)]));
          best.resize(k);
          EXPECT_EQ(std::vector<int64_t>(&result.ids[t * k], &result.ids[t * k] + k), best);
          EXPECT_LE(std::fabs(result.log_z[t] - static_cast<double>(std::log(sum))), result.bound[t]);
        }
      }
    }
  }

  const Screened model_{kRows, 33, MakeNumbers(Numbers::kNormal, kRows * 33, 1), 1};
  const std::vector<float> hidden_ = MakeNumbers(Numbers::kNormal, 3 * 33, 2);
  std::vector<uint8_t> allowed_ = std::vector<uint8_t>((kRows + 7) / 8);
  std::vector<int64_t> rows_;
};

TEST_F(Restricted, ToABitmap) {
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.allowed = allowed_.data();
  options.allowed_bytes = allowed_.size();
  ExpectBestOfRows(options, rows_);
  const Result result = model_.Topk(hidden_, rows_.size() + 1, options);
  EXPECT_EQ(result.status, TIED_INVALID_ARGUMENT);
  EXPECT_NE(std::string(result.error.message).find(std::to_string(rows_.size())), std::string::npos);
  options.allowed_bytes -= 1;
  EXPECT_EQ(model_.Topk(hidden_, 1, options).status, TIED_INVALID_ARGUMENT);
}

TEST_F(Restricted, ToAShortlistInAnyOrderWithRepeats) {
  const std::vector<int64_t> list = {998, 3, 500, 3, 0, 77, 500, 501, 502, 640, 641, 1};
  std::vector<int64_t> unique = list;
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.row_ids = list.data();
  options.row_count = list.size();
  options.use_screen = 0;
  for (const size_t k : {size_t{1}, unique.size()}) {
    const Result result = model_.Topk(hidden_, k, options);
    ASSERT_EQ(result.status, TIED_OK) << result.error.message;
    EXPECT_EQ(result.survivors[0], unique.size());
  }
  EXPECT_EQ(model_.Topk(hidden_, unique.size() + 1, options).status, TIED_INVALID_ARGUMENT);
  for (const int64_t bad : {int64_t{-1}, int64_t{kRows}}) {
    options.row_ids = &bad;
    options.row_count = 1;
    EXPECT_EQ(model_.Topk(hidden_, 1, options).status, TIED_OUT_OF_RANGE);
  }
}

TEST_F(Restricted, ToBoth) {
  std::vector<int64_t> list, both;
  for (int64_t row = static_cast<int64_t>(kRows) - 1; row >= 0; row -= 3) list.push_back(row);
  for (const int64_t row : rows_) {
    if (std::find(list.begin(), list.end(), row) != list.end()) both.push_back(row);
  }
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.allowed = allowed_.data();
  options.allowed_bytes = allowed_.size();
  options.row_ids = list.data();
  options.row_count = list.size();
  ExpectBestOfRows(options, both);
}

class LogZ : public testing::TestWithParam<std::tuple<double, bool>> {};

TEST_P(LogZ, IsWithinItsBoundAndTheBoundWithinTheTolerance) {
  const auto [tolerance, peaked] = GetParam();
  constexpr size_t kManyRows = 5000, kWide = 64;
  std::vector<float> values = MakeNumbers(Numbers::kNormal, kManyRows * kWide, 1);
  std::vector<float> hidden = MakeNumbers(Numbers::kNormal, 4 * kWide, 2);
  for (float& value : hidden) value *= peaked ? 1.0f : 0.1f;
  const Screened model(kManyRows, kWide, values, 1);
  tied_topk_options options = Options(true);
  options.log_z_tolerance = tolerance;
  const Result result = model.Topk(hidden, 3, options, true);
  ASSERT_EQ(result.status, TIED_OK) << result.error.message;
  const std::vector<float> logits = model.model().ScalarLogits(hidden);
  for (size_t t = 0; t < 4; ++t) {
    long double sum = 0;
    for (size_t r = 0; r < kManyRows; ++r) sum += std::exp(static_cast<long double>(logits[t * kManyRows + r]));
    EXPECT_LE(std::fabs(result.log_z[t] - static_cast<double>(std::log(sum))), result.bound[t]);
    EXPECT_LE(result.bound[t], std::max(tolerance, 1e-10));
    if (tolerance >= 0.1 && peaked) {
      EXPECT_LT(result.survivors[t], kManyRows / 4);
    } else if (tolerance == 0) {
      EXPECT_EQ(result.survivors[t], kManyRows);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tolerances, LogZ, testing::Combine(testing::Values(0, 1e-6, 1e-2, 0.1, 1), testing::Bool()));

TEST(LogZ, HoldsItsBoundWhereTheScreenHoldsTheRowsExactly) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<float> values(kRows * kCols);
    HeldExactly(0x1p-7f)(random, values);
    const Screened model(kRows, kCols, values, 0);
    const std::vector<float> hidden = MakeHidden(seed);
    const std::vector<float> logits = model.model().ScalarLogits(hidden);
    for (const double tolerance : {1e-1, 1e-2, 1e-3, 1e-4}) {
      tied_topk_options options = Options(true);
      options.log_z_tolerance = tolerance;
      const Result result = model.Topk(hidden, 1, options, /*with_log_z=*/true);
      ASSERT_EQ(result.status, TIED_OK) << result.error.message;
      for (size_t t = 0; t < kTokens; ++t) {
        long double sum = 0;
        for (size_t r = 0; r < kRows; ++r) sum += std::exp(static_cast<long double>(logits[t * kRows + r]));
        EXPECT_LE(std::fabs(result.log_z[t] - static_cast<double>(std::log(sum))), result.bound[t]) << tolerance;
      }
    }
  }
}

TEST(LogZ, HoldsItsBoundWhereScreenedLogitsAreOffByMuch) {
  constexpr size_t kManyRows = 5000;
  std::vector<float> values = MakeNumbers(Numbers::kNormal, kManyRows * kCols, 1);
  std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kCols, 2);
  for (float& value : hidden) value *= 1e5f;
  const Screened model(kManyRows, kCols, values, 0);
  const double truth = model.Topk(hidden, 1, Options(false), /*with_log_z=*/true).log_z[0];
  for (const double tolerance : {1.0, 1e4, 1e308, static_cast<double>(INFINITY)}) {
    tied_topk_options options = Options(true);
    options.log_z_tolerance = tolerance;
    const Result result = model.Topk(hidden, 1, options, /*with_log_z=*/true);
    ASSERT_EQ(result.status, TIED_OK) << result.error.message;
    EXPECT_LE(std::fabs(result.log_z[0] - truth), result.bound[0] + 1e-6) << tolerance;
  }
}

TEST(LogZ, ABoundMayBeAskedForAlone) {
  const RandomModel model(100, 8);
  const std::string file = model.File();
  const ModelPtr open = OpenMemory(file);
  int64_t id = -1;
  double bound = -1;
  const tied_topk_result result = {&id, nullptr, nullptr, &bound, nullptr, nullptr};
  const SessionPtr session = MakeSession(open.get(), 1);
  ASSERT_EQ(tied_topk_with(session.get(), ExactHidden(8).data(), 1, 1, nullptr, &result, nullptr), TIED_OK);
  EXPECT_GT(bound, 0);
  EXPECT_EQ(tied_topk_with(session.get(), nullptr, 0, 1, nullptr, nullptr, nullptr), TIED_OK);
}

TEST(LogZ, IsInfiniteWhereALogitIs) {
  std::vector<float> values = MakeNumbers(Numbers::kNormal, kRows * kCols, 1);
  std::fill_n(&values[(kRows - 1) * kCols], kCols, 0x1p126f);
  const Screened model(kRows, kCols, values, 0);
  for (const bool screen : {false, true}) {
    tied_topk_options options = Options(screen);
    options.log_z_tolerance = 0.01;
    const Result result = model.Topk(std::vector<float>(kCols, 1.0f), 1, options, /*with_log_z=*/true);
    ASSERT_EQ(result.status, TIED_OK) << result.error.message;
    EXPECT_EQ(result.ids[0], int64_t{kRows - 1});
    EXPECT_EQ(result.log_z[0], INFINITY);
    EXPECT_EQ(result.bound[0], 0);
  }
}

TEST(LogZ, ToleranceMustBeANumber) {
  const Screened model(100, 8, MakeNumbers(Numbers::kNormal, 800, 1), 0);
  for (const double bad : {-1.0, static_cast<double>(NAN)}) {
    tied_topk_options options = Options(true);
    options.log_z_tolerance = bad;
    EXPECT_EQ(model.Topk(ExactHidden(8), 1, options).status, TIED_INVALID_ARGUMENT);
  }
}

class SomeLogits : public testing::Test {
 protected:
  const RandomModel model_{517, 21};
  const std::string file_ = model_.File();
  const ModelPtr open_ = OpenMemory(file_);
  const SessionPtr session_ = MakeSession(open_.get(), 2);
  const std::vector<float> hidden_ = MakeNumbers(Numbers::kNormal, 70 * 21, 2);
  const std::vector<float> expected_ = model_.ScalarLogits(hidden_);
};

TEST_F(SomeLogits, OfAShortlistInItsOrder) {
  const std::vector<int64_t> ids = {516, 0, 3, 3, 99};
  std::vector<float> logits(70 * ids.size());
  ASSERT_EQ(
      tied_logits_of(session_.get(), hidden_.data(), 70, ids.data(), ids.size(), logits.data(), logits.size(), nullptr),
      TIED_OK);
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_EQ(logits[i], expected_[i / ids.size() * 517 + static_cast<size_t>(ids[i % ids.size()])]);
  }
  const int64_t bad = 517;
  EXPECT_EQ(tied_logits_of(session_.get(), hidden_.data(), 1, &bad, 1, logits.data(), 1, nullptr), TIED_OUT_OF_RANGE);
  EXPECT_EQ(tied_logits_of(session_.get(), hidden_.data(), 2, ids.data(), 5, logits.data(), 9, nullptr),
            TIED_BUFFER_TOO_SMALL);
}

TEST_F(SomeLogits, OfABitmapWithTheOthersAtMinusInfinity) {
  std::vector<uint8_t> allowed(65);
  for (size_t i = 0; i < allowed.size(); ++i) allowed[i] = static_cast<uint8_t>(i % 3 == 0 ? 0 : i * 73);
  std::vector<float> logits(70 * 517);
  ASSERT_EQ(tied_logits_allowed(session_.get(), hidden_.data(), 70, allowed.data(), allowed.size(), logits.data(),
                                logits.size(), nullptr),
            TIED_OK);
  for (size_t i = 0; i < logits.size(); ++i) {
    const size_t row = i % 517;
    const bool allows = (allowed[row / 8] >> row % 8 & 1) != 0;
    ASSERT_EQ(logits[i], allows ? expected_[i] : -INFINITY);
  }
  EXPECT_EQ(tied_logits_allowed(session_.get(), hidden_.data(), 70, allowed.data(), 64, logits.data(), logits.size(),
                                nullptr),
            TIED_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tied::test
