// --check must fail if any part of the file differs from the model.
#include "converter/check/check.h"

#include <fstream>

#include "base/error.h"
#include "converter/check/check_rows.h"
#include "converter/check/evaluator.h"
#include "converter/model_reader.h"
#include "converter/onnx/import.h"
#include "converter/output/writer.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

using format::DataType;

void NoProgress(uint64_t, uint64_t) {}

constexpr size_t kValues = 65536;  // offset of the first plane

class Damage : public ConversionTest {
 protected:
  // Converts with the table in a type, and returns the plan.
  converter::Plan ConvertTo(DataType type, const ModelForm& form = {}) {
    Save(MakeModel(form, Folder()), Path("model.onnx"));
    graph_ = converter::ReadModel(Path("model.onnx"));
    converter::Plan plan = converter::MakePlan(graph_, Path("model.onnx"), /*allow_untied=*/false, NoProgress);
    plan.encodings[0].type = type;
    plan.encodings[0].zero_points = type == DataType::Int4;
    plan.encodings[0].lossless = type == DataType::Float32;
    converter::WriteFile(plan, Path("model.tied"), NoProgress);
    return plan;
  }

  void Flip(size_t offset, unsigned char bits) const {
    std::fstream file(Path("model.tied"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ bits));
  }

  // Compares the file with a lossless table.
  bool Check() const {
    const converter::Plan plan = converter::MakePlan(graph_, Path("model.onnx"), /*allow_untied=*/false, NoProgress);
    converter::CheckReport report;
    converter::CheckConversion(graph_, plan, Path("model.tied"), &report);
    return report.passed();
  }

  bool CheckRows(const converter::Plan& plan) const {
    return converter::CheckRows(plan, Path("model.tied")).value().passed();
  }

 private:
  converter::Graph graph_;
};

constexpr size_t kElements[] = {0, 5 * kCols + 3, kRows / 2 * kCols, kRows* kCols - 1};

TEST_F(Damage, AnyChangedValueFailsTheCheck) {
  ConvertTo(DataType::Float32);
  EXPECT_TRUE(Check());
  for (const size_t element : kElements) {
    for (const size_t byte : {element * 4 + 2, element * 4 + 3}) {
      const unsigned char bits = byte % 4 == 2 ? 0x80 : 0x40;  // the lowest of the exponent, or the highest
      Flip(kValues + byte, bits);
      EXPECT_FALSE(Check()) << element;
      Flip(kValues + byte, bits);
    }
  }
  EXPECT_TRUE(Check());
}

TEST_F(Damage, TheLastBitOfAnyValueFailsTheCheckOfRows) {
  const converter::Plan plan = ConvertTo(DataType::Float32);
  EXPECT_TRUE(CheckRows(plan));
  for (const size_t element : kElements) {
    Flip(kValues + element * 4, 3);
    EXPECT_FALSE(CheckRows(plan)) << element;
    Flip(kValues + element * 4, 3);
  }
}

TEST_F(Damage, ANaNFailsTheCheck) {
  ConvertTo(DataType::Float32);
  std::fstream file(Path("model.tied"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(kValues + 4 * kCols);
  file.write("\0\0\xc0\x7f", 4);
  file.close();
  EXPECT_FALSE(Check());
}

TEST_F(Damage, AnotherShapeFailsTheCheck) {
  converter::Plan plan = ConvertTo(DataType::Float32);
  plan.entry_points[0].ops[1].output_dims.erase(plan.entry_points[0].ops[1].output_dims.begin() + 1);
  converter::WriteFile(plan, Path("model.tied"), NoProgress);
  EXPECT_FALSE(Check());
}

// Conversion does not need inner shapes; evaluating the model does.
TEST_F(Damage, AModelThatCannotBeEvaluatedFailsTheCheck) {
  const std::pair<Lines, const char*> kShapes[] = {
      {{"t = Identity(negative)"}, "computes an invalid shape"},
      {{"t = Concat(m1, m1)"}, "i_node' (Reshape): changes the number of elements"},
      {{"t = Add(negative, s)"}, "dimensions do not match"},
      {{"t = Slice(s, flat, axis1)"}, "t_node' (Slice): has invalid axes"},
      {{"t = Slice(s, m1, axis0, axis0, m1)"}, "t_node' (Slice): has steps"},
      {{"t = Cast(double) {to=7}"}, "does not support ONNX type 11"},
      {{"u = Unsqueeze(s, axis0)", "t = ArgMax(u)"},
       "t_node' (ArgMax): the reference evaluation supports only the last axis"},
  };
  for (const auto& [lines, words] : kShapes) {
    ModelForm form;
    form.embed = {"s = Shape(input_ids)"};
    form.embed.insert(form.embed.end(), lines.begin(), lines.end());
    form.embed.insert(form.embed.end(),
                      {"i = Reshape(input_ids, t)", "g = Gather(W, i)", "d = Concat(s, width)", "E = Reshape(g, d)"});
    onnx::ModelProto model = MakeModel(form, Folder());
    onnx::GraphProto* graph = model.mutable_graph();
    *graph->add_initializer() = IntTensor("negative", {-3, -2, -1});
    *graph->add_initializer() = IntTensor("double", {0});
    graph->mutable_initializer(graph->initializer_size() - 1)->set_data_type(onnx::TensorProto::DOUBLE);
    Convert(model);
    converter::CheckReport report;
    try {
      const converter::Graph imported = converter::ReadGraph(Path("model.onnx"));
      const converter::Plan plan = converter::MakePlan(imported, "model.onnx", /*allow_untied=*/false, NoProgress);
      converter::CheckConversion(imported, plan, Path("model.tied"), &report);
      ADD_FAILURE() << words;
    } catch (const converter::ConvertError& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
}

// Conversion does not round hidden states; the model that does has the same logits for all of them.
TEST_F(Damage, AStepThatFitsNoHiddenStateFailsTheCheck) {
  for (const float step : {1e-6f, 1e5f, 0.05f}) {
    ModelForm form;
    form.head = {"q = QuantizeLinear(pre_logits, step, middle)", "d = DequantizeLinear(q, step, middle)",
                 "L = MatMul(d, Wt)"};
    onnx::ModelProto model = MakeModel(form, Folder());
    *model.mutable_graph()->add_initializer() = RawTensor("step", {}, {step});
    *model.mutable_graph()->add_initializer() = BytesTensor("middle", {}, "\x80");
    Convert(model);
    converter::CheckReport report;
    const converter::Graph imported = converter::ReadGraph(Path("model.onnx"));
    const converter::Plan plan = converter::MakePlan(imported, "model.onnx", /*allow_untied=*/false, NoProgress);
    std::string message;
    try {
      converter::CheckConversion(imported, plan, Path("model.tied"), &report);
    } catch (const converter::ConvertError& error) {
      message = error.what();
    }
    EXPECT_EQ(message.find("its step does not fit") != std::string::npos, step != 0.05f) << step << ": " << message;
  }
}

// Exports for a fixed number of tokens reshape ids to it.
TEST_F(Damage, InputsHaveTheSizesThatReshapesNeed) {
  ModelForm form;
  form.embed = {"i = Reshape(input_ids, fives)", "E = Gather(W, i)"};
  onnx::ModelProto model = MakeModel(form, Folder());
  *model.mutable_graph()->add_initializer() = IntTensor("fives", {-1, 5});
  Convert(model);
  converter::CheckReport report;
  const converter::Graph graph = converter::ReadGraph(Path("model.onnx"));
  const converter::Plan plan = converter::MakePlan(graph, "model.onnx", /*allow_untied=*/false, NoProgress);
  converter::CheckConversion(graph, plan, Path("model.tied"), &report);
  ASSERT_EQ(report.outputs.size(), 4u);
  for (const converter::OutputCheck& output : report.outputs) {
    EXPECT_EQ(output.fault, converter::OutputCheck::Fault::kNone) << output.output;
  }
}

TEST_F(Damage, AnotherBiasFailsTheCheck) {
  ModelForm form;
  form.head = {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "L = Add(y, bias)"};
  ConvertTo(DataType::Float32, form);
  EXPECT_TRUE(Check());
  Flip(2 * kValues + 4 * 7 + 2, 0x80);
  EXPECT_FALSE(Check());
}

class LossyDamage : public Damage, public testing::WithParamInterface<DataType> {};

TEST_P(LossyDamage, FailsTheCheckOfRows) {
  const converter::Plan plan = ConvertTo(GetParam());
  EXPECT_TRUE(CheckRows(plan));
  const size_t bytes = GetParam() == DataType::Int4   ? 16 * kRows
                       : GetParam() == DataType::Int8 ? kRows * kCols
                                                      : 2 * kRows * kCols;
  for (const size_t byte : {size_t{1}, size_t{5}, bytes - 11}) {
    Flip(kValues + byte, 0x12);  // two steps of an integer, and of the half of a byte
    EXPECT_FALSE(CheckRows(plan)) << byte;
    Flip(kValues + byte, 0x12);
  }
  EXPECT_TRUE(CheckRows(plan));
}

INSTANTIATE_TEST_SUITE_P(Types, LossyDamage,
                         testing::Values(DataType::Float16, DataType::BFloat16, DataType::Int8, DataType::Int4),
                         [](const auto& type) { return std::string(format::EnumNameDataType(type.param)); });

TEST(Evaluation, FollowsLongChains) {
  converter::Graph graph;
  for (int i = 0; i < 50000; ++i) {
    graph.nodes.push_back({"Identity", "", {"v" + std::to_string(i)}, {"v" + std::to_string(i + 1)}, {}});
  }
  graph.results = {graph.nodes.back().outputs[0]};
  graph.outputs = {{graph.results[0], converter::ElementType::kInt64, {}}};
  const auto outputs =
      converter::Evaluate(graph, {{"v0", converter::Array::OfInts({1}, {7})}}, converter::Arithmetic::kValues, {});
  EXPECT_EQ(outputs.at(graph.results[0]).Int(0), 7);
}

}  // namespace
}  // namespace tied::test
