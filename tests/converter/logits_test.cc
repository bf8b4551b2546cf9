// A factor and a soft cap after the product become part of the head.
#include <cmath>
#include <fstream>
#include <tied/tied.hpp>

#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

struct Bent {
  const char* name;
  Lines head;  // after y = the product [batch, 1, kRows]
  float scale;
  float cap;
  float bias = 0;  // factor on it
};
std::ostream& operator<<(std::ostream& out, const Bent& bent) { return out << bent.name; }

// `scale` is the number 3.5, and `inverse` 1 / 3.5.
const Bent kBent[] = {
    {"Factor", {"L = Mul(y, scale)"}, kScale, 0},
    {"FactorFirst", {"L = Mul(scale, y)"}, kScale, 0},
    {"Quotient", {"L = Div(y, scale)"}, 1 / kScale, 0},
    {"TwoFactors", {"a = Mul(y, scale)", "L = Mul(a, scale)"}, kScale* kScale, 0},
    {"FactorBehindAView", {"v = Squeeze(y, axis1)", "a = Mul(v, scale)", "L = Unsqueeze(a, axis1)"}, kScale, 0},
    {"BiasBehindTheFactor", {"a = Mul(y, scale)", "L = Add(a, bias)"}, kScale, 0, 1},
    {"BiasBeforeTheFactor", {"a = Add(y, bias)", "L = Mul(a, scale)"}, kScale, 0, kScale},
    {"BiasBeforeTheQuotient", {"a = Add(bias, y)", "L = Div(a, scale)"}, 1 / kScale, 0, 1 / kScale},
    {"SoftCap", {"d = Div(y, scale)", "t = Tanh(d)", "L = Mul(t, scale)"}, 1, kScale},
    {"SoftCapByTheInverse", {"d = Mul(inverse, y)", "t = Tanh(d)", "L = Mul(scale, t)"}, 1, kScale},
    {"SoftCapOfABias", {"b = Add(y, bias)", "d = Div(b, scale)", "t = Tanh(d)", "L = Mul(t, scale)"}, 1, kScale, 1},
    {"SoftCapOfAFactor",
     {"a = Div(y, scale)", "d = Div(a, scale)", "t = Tanh(d)", "L = Mul(t, scale)"},
     1 / kScale,
     kScale},
    {"TanhOfTheProduct", {"t = Tanh(y)", "L = Mul(t, scale)"}, kScale, kScale},
};

// Adds the constants that the lines may use.
onnx::ModelProto MakeBent(const Lines& lines, const std::string& folder) {
  ModelForm form;
  form.head = {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)"};
  form.head.insert(form.head.end(), lines.begin(), lines.end());
  onnx::ModelProto model = MakeModel(form, folder);
  *model.mutable_graph()->add_initializer() = RawTensor("inverse", {}, {1 / kScale});
  *model.mutable_graph()->add_initializer() = RawTensor("zero", {1}, {0});
  return model;
}

class Logits : public ConversionTest, public testing::WithParamInterface<Bent> {};

TEST_P(Logits, AreThoseOfTheGraph) {
  const Bent& bent = GetParam();
  Convert(MakeBent(bent.head, Folder()));
  EXPECT_EQ(TableCount(), 1u);
  EXPECT_TRUE(Check());
  const tied_head_info head = Model::Open(Path("model.tied")).Head();
  EXPECT_FLOAT_EQ(head.scale, bent.scale);
  EXPECT_EQ(head.soft_cap, bent.cap);
  std::vector<float> hidden(kCols);
  for (size_t c = 0; c < hidden.size(); ++c) hidden[c] = static_cast<float>(c) / 16 - 0.3F;
  const std::vector<float> logits = RunHead(hidden, {1, 1, kCols});
  for (size_t r = 0; r < kRows; ++r) {
    double sum = 0;
    for (size_t c = 0; c < hidden.size(); ++c) sum += static_cast<double>(Table()[r * kCols + c]) * hidden[c];
    double wanted = bent.scale * sum + bent.bias * Bias()[r];
    if (bent.cap != 0) wanted = bent.cap * std::tanh(wanted / bent.cap);
    EXPECT_NEAR(logits[r], wanted, 1e-5 * std::fabs(bent.scale * sum) + 1e-5) << r;
  }
  ConvertKeeping("3-9 20 22-30 36");
}

INSTANTIATE_TEST_SUITE_P(All, Logits, testing::ValuesIn(kBent), [](const auto& bent) { return bent.param.name; });

struct Odd {
  const char* name;
  Lines head;
  const char* words;
};
std::ostream& operator<<(std::ostream& out, const Odd& odd) { return out << odd.name; }

const Odd kOdd[] = {
    {"FactorOfZero", {"L = Mul(y, zero)"}, "which is zero or not finite"},
    {"QuotientOfZero", {"L = Div(y, zero)"}, "L_node"},
    {"TanhAlone", {"L = Tanh(y)"}, "Tanh"},
    {"FactorBehindTheCap", {"d = Div(y, scale)", "t = Tanh(d)", "c = Mul(t, scale)", "L = Mul(c, scale)"}, "L_node"},
    {"FactorForEachRow", {"L = Mul(y, bias)"}, "L_node"},
    {"Inverse", {"L = Div(scale, y)"}, "L_node"},
};

class OddLogits : public ConversionTest, public testing::WithParamInterface<Odd> {};

TEST_P(OddLogits, AreRefused) {
  Save(MakeBent(GetParam().head, Folder()), Path("model.onnx"));
  const std::string message = Refusal(Path("model.onnx"));
  EXPECT_NE(message.find(GetParam().words), std::string::npos) << message;
  EXPECT_EQ(message.find("tied."), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(All, OddLogits, testing::ValuesIn(kOdd), [](const auto& odd) { return odd.param.name; });

}  // namespace
}  // namespace tied::test
