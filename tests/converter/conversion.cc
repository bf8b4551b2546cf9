#include "tests/converter/conversion.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "converter/check/check.h"
#include "converter/onnx/import.h"

namespace tied::test {

namespace {

// Converts tables of any type to float32.
void ConvertFile(const std::string& from, const std::string& to) {
  converter::ConvertOptions options;
  options.model = from;
  options.output = to;
  options.tables.format = converter::NumberFormat::kFloat32;
  (void)converter::Convert(options);
}

}  // namespace

ConversionTest::ConversionTest() {
  std::string path = testing::TempDir() + "tied_converter_XXXXXX";
  folder_ = mkdtemp(path.data());
}

ConversionTest::~ConversionTest() { std::filesystem::remove_all(folder_); }

std::vector<std::string> ConversionTest::Files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void ConversionTest::Convert(const onnx::ModelProto& model) {
  Save(model, Path("model.onnx"));
  ConvertFile(Path("model.onnx"), Path("model.tied"));
  tied_model* opened = nullptr;
  tied_open_options options = TIED_OPEN_OPTIONS_INIT;
  options.verify_planes = 1;
  tied_error error = {};
  ASSERT_EQ(tied_model_open(Path("model.tied").c_str(), &options, &opened, &error), TIED_OK) << error.message;
  model_.reset(opened);
}

void ConversionTest::ConvertKeeping(const std::string& ids, converter::NumberFormat format, bool screen,
                                    const std::string& source) const {
  std::ofstream(Path("keep.txt")) << ids;
  converter::ConvertOptions options;
  options.model = Path(source);
  options.output = Path("kept.tied");
  options.tables.format = format;
  options.tables.screen = screen;
  options.tables.keep_ids = Path("keep.txt");
  options.tables.allow_untied = true;
  options.tables.check = true;
  ExpectPassed(*converter::Convert(options).check);
}

void ConversionTest::ExpectPassed(const converter::CheckReport& check) {
  EXPECT_EQ(check.not_checked, "");
  for (const converter::OutputCheck& output : check.outputs) {
    EXPECT_EQ(output.fault, converter::OutputCheck::Fault::kNone)
        << output.output << ": " << output.share_of_bound.value_or(0) << " of the bound";
  }
  EXPECT_TRUE(check.passed());
}

std::string ConversionTest::Refusal(const std::string& path) const {
  try {
    ConvertFile(path, Path("refused.tied"));
  } catch (const converter::ConvertError& error) {
    return error.what();
  }
  return "";
}

std::vector<float> ConversionTest::Run(const std::string& kind, const tied_tensor& input) const {
  tied_model_info info;
  tied_entry_point_info entry_point = {};
  tied_op_info op = {};
  tied_value_info output_info = {};
  tied_model_get_info(model_.get(), &info, nullptr);
  bool found = false;
  for (size_t e = 0; e < info.entry_point_count && !found; ++e) {
    tied_model_get_entry_point(model_.get(), e, &entry_point, nullptr);
    for (size_t i = 0; i < entry_point.op_count && !found; ++i) {
      tied_model_get_op(model_.get(), e, i, &op, nullptr);
      found = op.kind == kind;
    }
  }
  EXPECT_TRUE(found) << "no " << kind;
  if (!found) return {};
  tied_model_get_output(model_.get(), op.output, &output_info, nullptr);
  tied_error error = {};
  tied_session* session = nullptr;
  EXPECT_EQ(tied_session_create(model_.get(), nullptr, &session, &error), TIED_OK) << error.message;
  tied_tensor output = {};
  output.name = output_info.name;
  EXPECT_EQ(tied_run(session, entry_point.name, &input, 1, &output, 1, &error), TIED_OK) << error.message;
  std::vector<float> values(output.bytes / sizeof(float));
  output.data = values.data();
  EXPECT_EQ(tied_run(session, entry_point.name, &input, 1, &output, 1, &error), TIED_OK) << error.message;
  std::vector<int64_t> wanted(input.dims, input.dims + (kind == "Head" ? input.rank - 1 : input.rank));
  tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
  tied_model_get_embedding(model_.get(), &embedding, nullptr);
  wanted.push_back(kind == "Head" ? kRows : static_cast<int64_t>(embedding.cols));
  EXPECT_EQ(std::vector<int64_t>(output.dims, output.dims + output.rank), wanted);
  tied_session_destroy(session);
  return values;
}

std::vector<float> ConversionTest::RunEmbedding(const std::vector<int64_t>& ids,
                                                const std::vector<int64_t>& dims) const {
  std::vector<int64_t> data = ids;
  tied_tensor input = {"input_ids", TIED_INT64, dims.size(), {}, data.data(), data.size() * sizeof(int64_t)};
  std::copy(dims.begin(), dims.end(), input.dims);
  return Run("Embedding", input);
}

std::vector<float> ConversionTest::RunHead(const std::vector<float>& hidden, const std::vector<int64_t>& dims) const {
  std::vector<float> data = hidden;
  tied_tensor input = {"pre_logits", TIED_FLOAT32, dims.size(), {}, data.data(), data.size() * sizeof(float)};
  std::copy(dims.begin(), dims.end(), input.dims);
  return Run("Head", input);
}

size_t ConversionTest::TableCount() const {
  tied_model_info info;
  tied_model_get_info(model_.get(), &info, nullptr);
  const size_t planes = (std::filesystem::file_size(Path("model.tied")) - 1) / 65536;
  EXPECT_LE(planes, 2u) << "a table and a bias";
  return info.table_count;
}

std::vector<std::string> ConversionTest::EntryPointNames() const {
  tied_model_info info;
  tied_model_get_info(model_.get(), &info, nullptr);
  std::vector<std::string> names;
  for (size_t i = 0; i < info.entry_point_count; ++i) {
    tied_entry_point_info entry_point;
    tied_model_get_entry_point(model_.get(), i, &entry_point, nullptr);
    names.push_back(entry_point.name);
  }
  return names;
}

int ConversionTest::SelectorValue(size_t entry_point) const {
  tied_selector_info selector = {};
  EXPECT_EQ(tied_model_get_selector(model_.get(), entry_point, 0, &selector, nullptr), TIED_OK);
  return selector.value;
}

std::vector<std::string> ConversionTest::HeadResults() const {
  std::vector<std::string> results;
  tied_op_info op;
  for (size_t i = 0; tied_model_get_op(model_.get(), 0, i, &op, nullptr) == TIED_OK; ++i) {
    results.push_back(std::string(op.result) + " " + std::to_string(op.k) +
                      (op.log_softmax != 0 ? " log_softmax" : ""));
  }
  return results;
}

bool ConversionTest::Check() const {
  converter::CheckReport check;
  const converter::Graph graph = converter::ReadGraph(Path("model.onnx"));
  const converter::Plan plan =
      converter::MakePlan(graph, "model.onnx", /*allow_untied=*/false, [](uint64_t, uint64_t) {});
  converter::CheckConversion(graph, plan, Path("model.tied"), &check);
  ExpectPassed(check);
  return check.passed();
}

}  // namespace tied::test
