// Every call gives the same bits, whatever rounding mode and handling of subnormal numbers its caller has set, and the
// creator of the session, from whom its threads inherit them.
#include <cfenv>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 4096, kCols = 64, kTokens = 4, kBest = 8;

// Rounds upward and, on x86, treats subnormal numbers as zero.
class StrangeMode {
 public:
  StrangeMode() {
    std::fegetenv(&saved_);
    std::fesetround(FE_UPWARD);
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
  }
  ~StrangeMode() { std::fesetenv(&saved_); }
  StrangeMode(const StrangeMode&) = delete;
  StrangeMode& operator=(const StrangeMode&) = delete;

 private:
  std::fenv_t saved_;
};

// Returns the bytes of a call's results, because comparing subnormal numbers also depends on the mode.
using Call = std::string (*)(tied_session*, const std::vector<float>& hidden);

template <class T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string Logits(tied_session* session, const std::vector<float>& hidden) {
  std::vector<float> logits(kTokens * kRows);
  EXPECT_EQ(tied_logits(session, hidden.data(), kTokens, logits.data(), logits.size(), nullptr), TIED_OK);
  return Bytes(logits);
}

std::string LogitsOf(tied_session* session, const std::vector<float>& hidden) {
  std::vector<int64_t> ids(kRows);
  for (size_t i = 0; i < kRows; ++i) ids[i] = static_cast<int64_t>(kRows - 1 - i);
  std::vector<float> logits(kTokens * kRows);
  EXPECT_EQ(tied_logits_of(session, hidden.data(), kTokens, ids.data(), kRows, logits.data(), logits.size(), nullptr),
            TIED_OK);
  return Bytes(logits);
}

template <bool screen>
std::string Topk(tied_session* session, const std::vector<float>& hidden) {
  std::vector<int64_t> ids(kTokens * kBest);
  std::vector<float> logits(kTokens * kBest);
  std::vector<double> log_z(kTokens);
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.use_screen = screen;
  const tied_topk_result arrays = {ids.data(), logits.data(), screen ? nullptr : log_z.data(),
                                   nullptr,    nullptr,       nullptr};
  EXPECT_EQ(tied_topk_with(session, hidden.data(), kTokens, kBest, &options, &arrays, nullptr), TIED_OK);
  return Bytes(ids) + Bytes(logits) + Bytes(log_z);
}

std::string LogProbabilities(tied_session* session, const std::vector<float>& hidden) {
  std::vector<float> values(kTokens * kRows);
  tied_tensor input = {"pre_logits",     TIED_FLOAT32, 3, {1, kTokens, kCols}, const_cast<float*>(hidden.data()),
                       hidden.size() * 4};
  tied_tensor output = {"logits", TIED_FLOAT32, 0, {}, values.data(), values.size() * 4};
  EXPECT_EQ(tied_run(session, "head", &input, 1, &output, 1, nullptr), TIED_OK);
  return Bytes(values);
}

struct NamedCall {
  const char* name;
  Call call;
};
std::ostream& operator<<(std::ostream& out, const NamedCall& call) { return out << call.name; }

const NamedCall kCalls[] = {{"Logits", Logits},
                            {"LogitsOf", LogitsOf},
                            {"Topk", Topk<false>},
                            {"ScreenedTopk", Topk<true>},
                            {"LogProbabilities", LogProbabilities}};

class FloatMode : public testing::TestWithParam<std::tuple<NamedCall, bool>> {
 protected:
  // The sums round, some of them to subnormal numbers.
  FloatMode() : model_(kRows, kCols) {
    const bool subnormal = std::get<1>(GetParam());
    if (subnormal) {
      for (float& value : model_.values()) value *= 0x1p-130f;
      std::fill(model_.bias().begin(), model_.bias().end(), 0.0f);
    }
    TiedFile file = model_.MakeFile();
    AddScreen(&file, kRows, kCols, model_.values());
    file.header.entry_points[1]->ops[0]->operation.AsHead()->log_softmax = true;
    file_ = file.Bytes();
    open_ = OpenMemory(file_);
  }

  RandomModel model_;
  std::string file_;
  ModelPtr open_;
};

TEST_P(FloatMode, DoesNotChangeResults) {
  const Call call = std::get<0>(GetParam()).call;
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kTokens * kCols, 2);
  const std::string expected = call(MakeSession(open_.get(), 1).get(), hidden);
  const StrangeMode mode;
  const SessionPtr session = MakeSession(open_.get(), 4);
  for (int repeat = 0; repeat < 10; ++repeat) ASSERT_TRUE(call(session.get(), hidden) == expected);
}

INSTANTIATE_TEST_SUITE_P(Calls, FloatMode, testing::Combine(testing::ValuesIn(kCalls), testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  (std::get<1>(test.param) ? "Subnormal" : "");
                         });

// XNNPACK may use a different order of summation, but must not drop subnormal numbers.
TEST(FloatModeOfXnnpack, KeepsSubnormalHalves) {
  const TestModel model(2000, 32);
  TiedFile file = model.MakeFile();
  format::TiedTableT& table = *file.header.tables[0];
  table.type = format::DataType::Float16;
  table.values = std::make_unique<format::Plane>(file.AddPlane(std::vector<uint16_t>(2000 * 32, 0x0200)));  // 2^-15
  file.header.entry_points[1]->ops[0]->operation.AsHead()->bias = nullptr;
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const std::vector<float> hidden(4 * 32, 1.0f);
  std::vector<float> logits(4 * 2000);
  const StrangeMode mode;
  const SessionPtr session = MakeSession(open.get(), 4, /*deterministic=*/false);
  for (int repeat = 0; repeat < 10; ++repeat) {
    ASSERT_EQ(tied_logits(session.get(), hidden.data(), 4, logits.data(), logits.size(), nullptr), TIED_OK);
    ASSERT_EQ(logits, std::vector<float>(4 * 2000, 0x1p-10f));
  }
}

}  // namespace
}  // namespace tied::test
