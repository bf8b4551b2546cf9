// Compares tables in every number format with float64 computations on their dequantised numbers.
#include <algorithm>
#include <cmath>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 211, kTokens = 9;

class Formats : public testing::TestWithParam<std::tuple<TableForm, size_t>> {
 protected:
  Formats() : form_(std::get<0>(GetParam())), cols_(std::get<1>(GetParam())), model_(kRows, cols_) {
    TiedFile file = model_.MakeFile();
    StoreTable(&file, form_, kRows, cols_, &model_.values());
    file_ = file.Bytes();
    open_ = OpenMemory(file_);
    hidden_ = MakeNumbers(Numbers::kNormal, kTokens * cols_, 5);
  }

  std::vector<float> Logits(int threads, size_t tokens_per_call, bool deterministic = true) const {
    const SessionPtr session = MakeSession(open_.get(), threads, deterministic);
    std::vector<float> logits(kTokens * kRows);
    for (size_t t = 0; t < kTokens; t += tokens_per_call) {
      const size_t tokens = std::min(tokens_per_call, kTokens - t);
      EXPECT_EQ(tied_logits(session.get(), &hidden_[t * cols_], tokens, &logits[t * kRows], tokens * kRows, nullptr),
                TIED_OK);
    }
    return logits;
  }

  // Compares with float64. The bound covers float32 rounding, and rounding of hidden states to activations.
  void ExpectNearExact(const std::vector<float>& logits) {
    for (size_t t = 0; t < kTokens; ++t) {
      const float* x = &hidden_[t * cols_];
      for (size_t r = 0; r < kRows; ++r) {
        const float* row = &model_.values()[r * cols_];
        const DoubleDot exact = ExactDot(row, x, cols_);
        const double bias = static_cast<double>(model_.Bias(r));
        const double bound =
            Gamma(2 * cols_ + 4) * (exact.magnitude + std::fabs(bias)) + StepError(form_, row, x, cols_);
        ASSERT_LE(std::fabs(static_cast<double>(logits[t * kRows + r]) - (exact.value + bias)), bound)
            << "token " << t << " row " << r;
      }
    }
  }

  const TableForm form_;
  const size_t cols_;
  RandomModel model_;
  std::string file_;
  ModelPtr open_;
  std::vector<float> hidden_;
};

TEST_P(Formats, EmbedGivesTheNumbersTimesTheScale) {
  const SessionPtr session = MakeSession(open_.get(), 1);
  const std::vector<int64_t> ids = {0, 5, kRows - 1};
  std::vector<float> embeddings(ids.size() * cols_);
  ASSERT_EQ(tied_embed(session.get(), ids.data(), ids.size(), embeddings.data(), embeddings.size(), nullptr), TIED_OK);
  EXPECT_EQ(embeddings, model_.Embed(ids));
}

TEST_P(Formats, LogitsAreNearTheExactOnesAndTheSameForAnySplit) {
  const std::vector<float> logits = Logits(1, kTokens);
  ExpectNearExact(logits);
  EXPECT_EQ(FirstDifference(logits, Logits(3, 4)), -1);
  EXPECT_EQ(FirstDifference(logits, Logits(2, 1)), -1);
  ExpectNearExact(Logits(2, kTokens, /*deterministic=*/false));
}

TEST_P(Formats, TopkIsTheFrontOfTheSortedLogits) {
  const std::vector<float> logits = Logits(1, kTokens);
  const SessionPtr session = MakeSession(open_.get(), 2);
  for (const size_t k : {size_t{1}, size_t{20}, kRows}) {
    std::vector<int64_t> ids(kTokens * k);
    ASSERT_EQ(tied_topk(session.get(), hidden_.data(), kTokens, k, ids.data(), nullptr, nullptr), TIED_OK);
    EXPECT_EQ(ids, model_.Best(logits, k));
  }
}

TEST_P(Formats, HiddenThatIsNotFiniteGivesNaN) {
  std::vector<float> hidden(hidden_.begin(), hidden_.begin() + static_cast<std::ptrdiff_t>(cols_));
  for (const float bad : {NAN, INFINITY}) {
    const bool quantised = StepError(form_, hidden_.data(), hidden_.data(), cols_) > 0;
    if (std::isinf(bad) && !quantised) continue;  // infinity may give infinity
    hidden[cols_ / 2] = bad;
    for (const bool deterministic : {true, false}) {
      const SessionPtr session = MakeSession(open_.get(), 1, deterministic);
      std::vector<float> logits(kRows, 0.0f);
      ASSERT_EQ(tied_logits(session.get(), hidden.data(), 1, logits.data(), kRows, nullptr), TIED_OK);
      for (const float logit : logits) EXPECT_TRUE(std::isnan(logit));
    }
  }
}

TEST_P(Formats, AreSound) {
  tied_error error = {};
  EXPECT_EQ(tied_model_verify(open_.get(), &error), TIED_OK) << error.message;
}

INSTANTIATE_TEST_SUITE_P(All, Formats,
                         testing::Combine(testing::ValuesIn(AllTableForms()), testing::Values(1u, 33u, 128u)),
                         [](const auto& test) {
                           return testing::PrintToString(std::get<0>(test.param)) + "_" +
                                  std::to_string(std::get<1>(test.param));
                         });

// Errors in a table are reported when it is opened if the header shows them, otherwise by tied_model_verify().
class WrongTables : public testing::Test {
 protected:
  TiedFile MakeFile(const TableForm& form) {
    TiedFile file = model_.MakeFile();
    StoreTable(&file, form, 19, 40, &model_.values());
    return file;
  }

  static void ExpectVerifyNames(const TiedFile& file, const std::string& words) {
    const std::string bytes = file.Bytes();
    const ModelPtr model = OpenMemory(bytes);
    tied_error error = {};
    EXPECT_EQ(tied_model_verify(model.get(), &error), TIED_CORRUPT);
    EXPECT_NE(std::string(error.message).find(words), std::string::npos) << error.message;
  }

  RandomModel model_{19, 40};
};

TEST_F(WrongTables, ScalesOfAScreenThatAreNotPositiveAndFinite) {
  for (const float bad : {0.0f, -1.0f, NAN, INFINITY}) {
    std::vector<float> scales(19, 1.0f);
    scales[7] = bad;
    TiedFile screen = MakeFile({format::DataType::Float32, false, false, true});
    *screen.header.tables[0]->screen->scales = screen.AddPlane(scales);
    ExpectVerifyNames(screen, "row 7");
  }
}

TEST_F(WrongTables, ScalesThatAreNotFinite) {
  for (const float bad : {-INFINITY, NAN, INFINITY}) {
    std::vector<float> scales(19, -1.0f);
    scales[7] = bad;
    TiedFile bytes = MakeFile({format::DataType::Int8});
    *bytes.header.tables[0]->scales = bytes.AddPlane(scales);
    ExpectVerifyNames(bytes, "row 7");
    std::vector<float> block_scales(19 * 2, 1.0f);
    block_scales[15] = bad;
    TiedFile blocks = MakeFile({format::DataType::Int4});
    *blocks.header.tables[0]->scales = blocks.AddPlane(block_scales);
    ExpectVerifyNames(blocks, "row 7");
    *bytes.header.tables[0]->scales = bytes.AddPlane(block_scales);
    ExpectVerifyNames(bytes, "row 7");
  }
}

TEST_F(WrongTables, HalfScalesThatAreNotFinite) {
  constexpr uint16_t kInfinity = 0x7c00, kNegativeInfinity = 0xfc00, kNaN = 0x7e00, kLargest = 0x7bff;
  for (const TableForm& form : {TableForm{format::DataType::Int4, false, true, false, false, true},
                                TableForm{format::DataType::Int8, false, false, false, true, true}}) {
    for (const uint16_t bad : {kInfinity, kNegativeInfinity, kNaN}) {
      std::vector<uint16_t> scales(19 * 2, kLargest);
      TiedFile file = MakeFile(form);
      *file.header.tables[0]->scales = file.AddPlane(scales);
      const std::string sound = file.Bytes();
      EXPECT_EQ(tied_model_verify(OpenMemory(sound).get(), nullptr), TIED_OK);
      scales[15] = bad;
      *file.header.tables[0]->scales = file.AddPlane(scales);
      ExpectVerifyNames(file, "row 7");
    }
  }
}

// Scales are float32 or float16, and those in float16 are of blocks, which no screen fits.
TEST_F(WrongTables, ScalesOfAnotherType) {
  using format::DataType;
  constexpr size_t kScales = 19, kBlocks = kScales * 2;
  const TableForm int4 = {DataType::Int4}, in_blocks = {DataType::Uint8, false, true, false, true};
  const TableForm by_row = {DataType::Int8}, one = {DataType::Int8, true}, nested = {DataType::Int8, true, false, true};
  for (const TableForm& form : {int4, in_blocks, by_row, one, nested}) {
    for (const DataType type : format::EnumValuesDataType()) {
      if (type == DataType::Float32) continue;
      for (const size_t bytes : {size_t{1}, size_t{2}, size_t{4}, kScales, 2 * kScales, 2 * kBlocks, 4 * kBlocks}) {
        TiedFile file = MakeFile(form);
        if (form.zero_points) file.header.tables[0]->zero_points = nullptr;
        *file.header.tables[0]->scales = file.AddPlane(std::vector<uint8_t>(bytes, 1));
        file.header.tables[0]->scale_type = type;
        const Failure failure = OpenFailure(file.Bytes());
        if (type == DataType::Float16 && bytes == 2 * kBlocks && !form.screen) {
          EXPECT_EQ(failure.status, TIED_OK) << form << failure.message;
          continue;
        }
        EXPECT_EQ(failure.status, TIED_CORRUPT) << form << format::EnumNameDataType(type) << bytes;
        const bool blames_screen = failure.message.find("screen") != std::string::npos;
        EXPECT_TRUE(blames_screen || failure.message.find("scales") != std::string::npos) << failure.message;
      }
    }
  }
}

TEST_F(WrongTables, NormsThatLie) {
  for (const float factor : {0.0f, 0.99f, -1.0f, INFINITY, static_cast<float>(NAN)}) {
    TiedFile file = MakeFile({format::DataType::Float32, false, false, true});
    const float* row = &model_.values()[3 * 40];
    float largest = 0;
    for (size_t k = 0; k < 40; ++k) largest = std::max(largest, std::fabs(row[k]));
    double norm2 = 0, upper_norm2 = 0;
    for (size_t k = 0; k < 40; ++k) {
      const double scale = static_cast<double>(largest / 127);
      const double integer = std::nearbyint(row[k] / (largest / 127));
      norm2 += std::pow(static_cast<double>(row[k]) - scale * integer, 2);
      upper_norm2 += std::pow(static_cast<double>(row[k]) - scale * (std::floor(integer / 16) * 16 + 7.5), 2);
    }
    std::vector<float> norms(19, 100.0f);
    format::ScreenT& screen = *file.header.tables[0]->screen;
    const format::Plane sound = *screen.norms;
    norms[3] = factor * static_cast<float>(std::sqrt(norm2));
    *screen.norms = file.AddPlane(norms);
    ExpectVerifyNames(file, "row 3, both");
    *screen.norms = sound;
    norms[3] = factor * static_cast<float>(std::sqrt(upper_norm2));
    *screen.upper_norms = file.AddPlane(norms);
    ExpectVerifyNames(file, "row 3, upper nibbles");
  }
}

// In calibrated columns, the bounds take the lower nibbles as 8, and the values as finite.
TEST_F(WrongTables, CalibratedColumnsThatLie) {
  const auto make = [&] {
    TiedFile file = MakeFile({format::DataType::Float32});
    AddScreen(&file, 19, 40, model_.values(), /*calibrated=*/true);
    return file;
  };
  EXPECT_EQ(tied_model_verify(OpenMemory(make().Bytes()).get(), nullptr), TIED_OK);
  for (const int8_t wrong : {int8_t{-128}, int8_t{127}}) {
    TiedFile file = make();
    *file.header.tables[0]->screen->column_values = file.AddPlane(std::vector<int8_t>(19 * 16, wrong));
    ExpectVerifyNames(file, "columns of row 0");
  }
  for (const uint8_t wrong : {uint8_t{0x00}, uint8_t{0x77}, uint8_t{0x99}}) {
    TiedFile file = make();
    format::ScreenT& screen = *file.header.tables[0]->screen;
    *screen.lower = file.AddPlane(std::vector<uint8_t>(19 * 32, wrong));
    *screen.norms = file.AddPlane(std::vector<float>(19, 1e6f));
    ExpectVerifyNames(file, "columns of row 0 have lower nibbles");
  }
  const std::vector<float> sound = model_.values();
  for (const float wrong : {INFINITY, -INFINITY, static_cast<float>(NAN)}) {
    TiedFile file = make();
    std::vector<float> values = sound;
    values[5 * 40 + 2] = wrong;
    *file.header.tables[0]->values = file.AddPlane(values);
    ExpectVerifyNames(file, "columns of row 5");
  }
}

TEST_F(WrongTables, PlanesThatDoNotFit) {
  const std::vector<float> few(3, 1.0f);
  const auto refused = [](const TiedFile& file, const std::string& word) {
    const Failure failure = OpenFailure(file.Bytes());
    EXPECT_EQ(failure.status, TIED_CORRUPT);
    EXPECT_NE(failure.message.find(word), std::string::npos) << failure.message;
  };
  TiedFile bytes = MakeFile({format::DataType::Uint8, false, true, false});
  *bytes.header.tables[0]->scales = bytes.AddPlane(few);
  refused(bytes, "scales");
  bytes.header.tables[0]->scales = nullptr;
  refused(bytes, "scales");
  TiedFile zeros = MakeFile({format::DataType::Uint8, false, true, false});
  *zeros.header.tables[0]->zero_points = zeros.AddPlane(few);
  refused(zeros, "zero points");
  for (const TableForm& form :
       {TableForm{format::DataType::Int4, false, true}, TableForm{format::DataType::Int8, false, true, false, true}}) {
    TiedFile blocks = MakeFile(form);
    *blocks.header.tables[0]->scales = blocks.AddPlane(few);
    refused(blocks, "scales");
    blocks = MakeFile(form);
    *blocks.header.tables[0]->zero_points = blocks.AddPlane(std::vector<uint8_t>(19));
    refused(blocks, "zero points");
    *blocks.header.tables[0]->scales = blocks.AddPlane(std::vector<float>(1, 1.0f));
    refused(blocks, form.type == format::DataType::Int4 ? "scales" : "zero points");
  }
  TiedFile floats = MakeFile({format::DataType::Float16});
  floats.header.tables[0]->zero_points = std::make_unique<format::Plane>(floats.AddPlane(few));
  refused(floats, "zero points");
  TiedFile screen = MakeFile({format::DataType::BFloat16, false, false, true});
  *screen.header.tables[0]->screen->lower = screen.AddPlane(few);
  refused(screen, "lower nibbles");
  TiedFile both = MakeFile({format::DataType::Int8});
  AddScreen(&both, 19, 40, model_.values());
  refused(both, "values");
  TiedFile blocks = MakeFile({format::DataType::Int4});
  AddScreen(&blocks, 19, 40, model_.values());
  refused(blocks, "screen");
}

}  // namespace
}  // namespace tied::test
