// Weights that a static quantisation rounds a second time are the integers of the second rounding.
#include <algorithm>
#include <cmath>

#include "tests/converter/conversion.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

struct SecondStep {
  float step;
  int zero;
  bool is_signed;
};
std::ostream& operator<<(std::ostream& out, const SecondStep& step) { return out << step.step << " + " << step.zero; }

void AddNumber(onnx::GraphProto* graph, const char* name, int zero, bool is_signed) {
  onnx::TensorProto* tensor = graph->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(is_signed ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8);
  tensor->set_raw_data(std::string(1, static_cast<char>(zero)));
}

constexpr int kFirstZero = -3;
int FirstInteger(size_t i) { return static_cast<int>(i * 37 % 251) - 125; }

const Lines kTwice = {"w = DequantizeLinear(W, scale, zero)", "t = Transpose(w)",
                      "q = QuantizeLinear(t, step, middle)"};

class SecondRounding : public ConversionTest, public testing::WithParamInterface<SecondStep> {
 protected:
  // The lines follow kTwice, in each branch.
  void ConvertTwice(const Lines& head, const Lines& embed) {
    ModelForm form;
    form.head = form.embed = kTwice;
    form.head.insert(form.head.end(), head.begin(), head.end());
    form.embed.insert(form.embed.end(), embed.begin(), embed.end());
    onnx::ModelProto model = MakeModel(form, Folder());
    onnx::GraphProto* graph = model.mutable_graph();
    for (onnx::TensorProto& tensor : *graph->mutable_initializer()) {
      if (tensor.name() != "W") continue;
      std::string integers;
      for (size_t i = 0; i < size_t{kRows * kCols}; ++i) integers += static_cast<char>(FirstInteger(i));
      tensor.set_data_type(onnx::TensorProto::INT8);
      tensor.set_raw_data(integers);
    }
    AddNumber(graph, "zero", kFirstZero, true);
    AddNumber(graph, "middle", GetParam().zero, GetParam().is_signed);
    AddNumber(graph, "zero_of_hidden", 128, false);
    *graph->add_initializer() = RawTensor("step", {}, {GetParam().step});
    *graph->add_initializer() = RawTensor("step_of_hidden", {}, {0.03f});
    *graph->add_initializer() = RawTensor("step_of_logits", {}, {100});
    Convert(model);
  }

  // The definition of QuantizeLinear and DequantizeLinear.
  static float Expected(size_t i) {
    const float low = GetParam().is_signed ? -128 : 0, high = GetParam().is_signed ? 127 : 255;
    const auto zero = static_cast<float>(GetParam().zero);
    const float once = static_cast<float>(FirstInteger(i) - kFirstZero) * kScale;
    return (std::clamp(std::nearbyint(once / GetParam().step) + zero, low, high) - zero) * GetParam().step;
  }

  void ExpectRight() {
    EXPECT_EQ(TableCount(), 1u);
    std::vector<int64_t> ids(kRows);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i);
    const std::vector<float> rows = RunEmbedding(ids, {1, kRows});
    for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i], Expected(i)) << i;
    EXPECT_TRUE(Check());
  }
};

TEST_P(SecondRounding, OfDequantisedWeights) {
  ConvertTwice({"d = DequantizeLinear(q, step, middle)", "L = MatMul(pre_logits, d)"},
               {"d = DequantizeLinear(q, step, middle)", "e = Transpose(d)", "E = Gather(e, input_ids)"});
  ExpectRight();
}

TEST_P(SecondRounding, OfTheWeightsOfQLinearMatMul) {
  ConvertTwice({"x = QuantizeLinear(pre_logits, step_of_hidden, zero_of_hidden)",
                "y = QLinearMatMul(x, step_of_hidden, zero_of_hidden, q, step, middle, step_of_logits, zero_of_hidden)",
                "L = DequantizeLinear(y, step_of_logits, zero_of_hidden)"},
               {"d = DequantizeLinear(q, step, middle)", "e = Transpose(d)", "E = Gather(e, input_ids)"});
  ExpectRight();
}

// Without and with clipping, from int8 to uint8 and to int8, and the step of the first rounding.
INSTANTIATE_TEST_SUITE_P(Steps, SecondRounding,
                         testing::Values(SecondStep{7.25f, 100, false}, SecondStep{3, 100, false},
                                         SecondStep{2, -20, true}, SecondStep{kScale, kFirstZero, true}));

// Inputs that are declared with dimensions of the same name have the same size there.
TEST_F(SecondRounding, ConstantsMayHaveDimensionsOfTheSameNameOfAnotherInput) {
  for (const bool named : {true, false}) {
    ModelForm form;
    form.head = {"L = MatMul(pre_logits, Wt)"};
    onnx::ModelProto model = MakeModel(form, Folder());
    onnx::GraphProto* graph = model.mutable_graph();
    onnx::GraphProto* branch = graph->mutable_node(0)->mutable_attribute(0)->mutable_g();
    for (onnx::ValueInfoProto& input : *graph->mutable_input()) {
      if (named && input.type().tensor_type().shape().dim_size() > 1) {
        input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_param("batch");
      }
    }
    // The embeddings that the head's branch returns: [pre_logits' first, input_ids' second, kCols] zeros.
    AddNodes(branch, {"a = Shape(pre_logits)", "first = Slice(a, from0, from1)", "b = Shape(input_ids)",
                      "second = Slice(b, from1, from2)", "dims = Concat(first, second, cols) {axis=0}",
                      "zeros = ConstantOfShape(dims)"});
    *graph->add_initializer() = IntTensor("from0", {0});
    *graph->add_initializer() = IntTensor("from1", {1});
    *graph->add_initializer() = IntTensor("from2", {2});
    *graph->add_initializer() = IntTensor("cols", {kCols});
    branch->mutable_output(0)->set_name("zeros");
    Save(model, Path("model.onnx"));
    const std::string message = Refusal(Path("model.onnx"));
    EXPECT_EQ(message.empty(), named) << message;
    EXPECT_EQ(message.find("shape follows from two inputs") != std::string::npos, !named) << message;
  }
}

}  // namespace
}  // namespace tied::test
