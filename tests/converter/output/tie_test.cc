// Models whose embedding and head are two roundings of one matrix are converted to files with one table.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <tied/tied.hpp>

#include "base/error.h"
#include "converter/convert.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

using converter::ConvertReport;
using converter::NumberFormat;
using converter::Tie;

// NAME, NAME_scale and NAME_zero: the matrix as integers from 0 to `last`, or its transpose.
void AddQuantised(const std::string& name, const std::vector<float>& matrix, int last, bool transposed,
                  onnx::GraphProto* graph) {
  const auto [lowest, highest] = std::minmax_element(matrix.begin(), matrix.end());
  const float scale = (*highest - *lowest) / static_cast<float>(last);
  const float zero = std::nearbyint(-*lowest / scale);
  std::string bytes(matrix.size(), '\0');
  for (size_t i = 0; i < matrix.size(); ++i) {
    const float integer = std::clamp(std::nearbyint(matrix[i] / scale) + zero, 0.0f, static_cast<float>(last));
    bytes[transposed ? i % kCols * kRows + i / kCols : i] = static_cast<char>(static_cast<int>(integer));
  }
  const std::vector<int64_t> dims =
      transposed ? std::vector<int64_t>{kCols, kRows} : std::vector<int64_t>{kRows, kCols};
  *graph->add_initializer() = BytesTensor(name, dims, bytes);
  *graph->add_initializer() = RawTensor(name + "_scale", {}, {scale});
  *graph->add_initializer() =
      BytesTensor(name + "_zero", {}, std::string(1, static_cast<char>(static_cast<int>(zero))));
}

class TwoRoundings : public ConversionTest {
 protected:
  // An embedding of 8 bits, and a head of 7 bits of this matrix, stored transposed. The embedding comes second.
  void SaveModel(const std::vector<float>& head_matrix, const Lines& embed = kEmbed) const {
    ModelForm form;
    form.embed = embed;
    form.head = {"w = DequantizeLinear(H, H_scale, H_zero)", "L = MatMul(pre_logits, w)"};
    onnx::ModelProto model = MakeModel(form, Folder());
    AddQuantised("Q", Table(), 255, /*transposed=*/false, model.mutable_graph());
    AddQuantised("H", head_matrix, 127, /*transposed=*/true, model.mutable_graph());
    Save(model, Path("model.onnx"));
  }

  ConvertReport ConvertTied(Tie tie, NumberFormat format = NumberFormat::kAuto, bool allow_untied = false) const {
    converter::ConvertOptions options;
    options.model = Path("model.onnx");
    options.output = Path("model.tied");
    options.tables.format = format;
    options.tables.tie = tie;
    options.tables.allow_untied = allow_untied;
    options.tables.check = true;
    ConvertReport report = converter::Convert(options);
    ExpectPassed(*report.check);
    return report;
  }

  std::string RefusalOf(Tie tie) const {
    try {
      ConvertTied(tie);
    } catch (const converter::ConvertError& error) {
      EXPECT_FALSE(std::filesystem::exists(Path("model.tied")));
      return error.what();
    }
    return "";
  }

  static const Lines kEmbed;
};

const Lines TwoRoundings::kEmbed = {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, Q_scale, Q_zero)"};

// The largest difference of the file's rows from the matrix before rounding.
double ErrorOfRows(const Model& model) {
  Session session(model);
  std::vector<int64_t> ids(kRows);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i);
  const std::vector<float> rows = session.Embed(ids), table = Table();
  double error = 0;
  for (size_t i = 0; i < rows.size(); ++i) error = std::max(error, std::fabs(static_cast<double>(rows[i]) - table[i]));
  return error;
}

TEST_F(TwoRoundings, KeepTheTableThatIsNamed) {
  SaveModel(Table());
  const struct {
    Tie tie;
    std::string use, reads, original;
  } cases[] = {
      {Tie::kEmbedding, "head", "Q", "H"}, {Tie::kHead, "embedding", "H", "Q"}, {Tie::kFiner, "head", "Q", "H"}};
  for (const auto& c : cases) {
    const ConvertReport report = ConvertTied(c.tie);
    ASSERT_EQ(report.tables.size(), 1u);
    EXPECT_EQ(report.tables[0].name, c.reads);
    EXPECT_EQ(report.tables[0].type, "uint8");
    ASSERT_EQ(report.tied_uses.size(), 1u);
    const converter::TiedUse& use = report.tied_uses[0];
    EXPECT_EQ(use.use + use.reads + use.original, c.use + c.reads + c.original);
    const double ratio = use.rounding / use.rounding_of_original;
    EXPECT_NEAR(c.reads == "Q" ? ratio : 1 / ratio, 127.0 / 255, 1e-6) << "8 bits halve the error of 7";
    EXPECT_LE(use.largest_difference, (use.rounding + use.rounding_of_original) * std::sqrt(3) * 1.001);
    const Model model = Model::Open(Path("model.tied"));
    EXPECT_EQ(model.Info().table_count, 1u);
    const double step = use.rounding * std::sqrt(12);
    EXPECT_LE(ErrorOfRows(model), step * 0.501);
    EXPECT_GE(ErrorOfRows(model), step * 0.45);
  }
}

TEST_F(TwoRoundings, AreRefusedWithTheOptionThatWorks) {
  SaveModel(Table());
  const std::string message = RefusalOf(Tie::kNone);
  for (const char* words : {"tables 'Q' [37, 12] and 'H' [37, 12] differ by up to", "which their rounding explains",
                            "--tie keeps the finer one", "--allow-untied both"}) {
    EXPECT_NE(message.find(words), std::string::npos) << message;
  }
  EXPECT_EQ(ConvertTied(Tie::kNone, NumberFormat::kAuto, /*allow_untied=*/true).tables.size(), 2u);
}

TEST_F(TwoRoundings, OfTwoMatricesStayTwo) {
  std::vector<float> other = Table();
  other[100] -= 0.3f;
  SaveModel(other);
  for (const Tie tie : {Tie::kNone, Tie::kFiner, Tie::kEmbedding, Tie::kHead}) {
    const std::string message = RefusalOf(tie);
    EXPECT_NE(message.find("by more than rounding explains in 0.225 % of their weights"), std::string::npos) << message;
    EXPECT_EQ(message.find("--tie"), std::string::npos) << message;
  }
  const ConvertReport report = ConvertTied(Tie::kFiner, NumberFormat::kAuto, /*allow_untied=*/true);
  EXPECT_EQ(report.tables.size(), 2u);
  EXPECT_TRUE(report.tied_uses.empty());
}

TEST_F(TwoRoundings, OneOfThemMayBeTheMatrixItself) {
  SaveModel(Table(), {"E = Gather(W, input_ids)"});
  EXPECT_EQ(ConvertTied(Tie::kFiner).tables[0].type, "float32");
  EXPECT_EQ(ErrorOfRows(Model::Open(Path("model.tied"))), 0);
  const ConvertReport report = ConvertTied(Tie::kHead);
  EXPECT_EQ(report.tables[0].type, "uint8");
  EXPECT_EQ(report.tied_uses[0].rounding_of_original, 0);
  EXPECT_NEAR(report.tied_uses[0].rms_difference / report.tied_uses[0].rounding, 1, 0.1);
}

TEST_F(TwoRoundings, AreStoredInAnotherFormatIfAsked) {
  SaveModel(Table());
  for (const NumberFormat format : {NumberFormat::kFloat32, NumberFormat::kFloat16, NumberFormat::kInt8}) {
    const ConvertReport report = ConvertTied(Tie::kFiner, format);
    EXPECT_EQ(report.tables.size(), 1u);
    EXPECT_EQ(report.tied_uses.size(), 1u);
  }
}

TEST_F(TwoRoundings, ATableThatNoUseOfTheModelHasCannotBeKept) {
  ModelForm form;
  form.embed = {"w = DequantizeLinear(H, H_scale, H_zero)", "E = MatMul(pre_logits, w)"};
  form.head = {"wt = Transpose(W)", "L = MatMul(pre_logits, wt)"};
  onnx::ModelProto model = MakeModel(form, Folder());
  model.mutable_graph()
      ->mutable_output(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->set_dim_value(kRows);
  AddQuantised("H", Table(), 127, /*transposed=*/true, model.mutable_graph());
  Save(model, Path("model.onnx"));
  EXPECT_EQ(RefusalOf(Tie::kEmbedding), Path("model.onnx") + ": the model has no embedding");
  EXPECT_EQ(ConvertTied(Tie::kFiner).tables[0].name, "W");
}

TEST_F(TwoRoundings, OfAWholeExportAreTiedBySplit) {
  ModelForm form;
  onnx::ModelProto model = MakeModel(form, Folder());
  onnx::GraphProto* graph = model.mutable_graph();
  graph->clear_node();
  graph->clear_initializer();
  graph->mutable_input()->DeleteSubrange(2, 1);
  graph->mutable_input()->DeleteSubrange(0, 1);
  graph->mutable_output()->DeleteSubrange(0, 1);
  AddQuantised("Q", Table(), 255, /*transposed=*/false, graph);
  AddQuantised("H", Table(), 127, /*transposed=*/true, graph);
  AddNodes(graph, {"g = Gather(Q, input_ids)", "E = DequantizeLinear(g, Q_scale, Q_zero)", "h = Tanh(E)",
                   "w = DequantizeLinear(H, H_scale, H_zero)", "logits = MatMul(h, w)"});
  Save(model, Path("decoder.onnx"));
  converter::SplitOptions options;
  options.exports = {Path("decoder.onnx")};
  options.folder = Path("out");
  options.tables.check = true;
  EXPECT_THROW(converter::Split(options), converter::ConvertError);
  options.tables.tie = Tie::kEmbedding;
  const ConvertReport report = converter::Split(options);
  ExpectPassed(*report.check);
  ASSERT_EQ(report.tied_uses.size(), 1u);
  EXPECT_EQ(report.tied_uses[0].reads, "Q");
  EXPECT_EQ(Model::Open(Path("out/model.tied")).Info().table_count, 1u);
}

}  // namespace
}  // namespace tied::test
