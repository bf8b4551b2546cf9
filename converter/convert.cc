#include "converter/convert.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/output_file.h"
#include "converter/check/check.h"
#include "converter/check/check_rows.h"
#include "converter/graph/graph.h"
#include "converter/model_reader.h"
#include "converter/onnx/write.h"
#include "converter/output/choose_encoding.h"
#include "converter/output/error_meter.h"
#include "converter/output/keep_ids.h"
#include "converter/output/plan.h"
#include "converter/output/writer.h"
#include "converter/split/split.h"
#include "converter/split/whole_model.h"

namespace tied::converter {

namespace {

namespace fs = std::filesystem;
using format::DataType;

std::optional<DataType> TypeOf(NumberFormat format) {
  switch (format) {
    case NumberFormat::kFloat32:
      return DataType::Float32;
    case NumberFormat::kFloat16:
      return DataType::Float16;
    case NumberFormat::kBFloat16:
      return DataType::BFloat16;
    case NumberFormat::kInt8:
    case NumberFormat::kInt8Blocks:
      return DataType::Int8;
    case NumberFormat::kInt4:
      return DataType::Int4;
    default:
      return std::nullopt;
  }
}

Progress ProgressOf(const TableOptions& options, const char* step) {
  if (!options.progress) return [](uint64_t, uint64_t) {};
  return [&options, step](uint64_t done, uint64_t total) { options.progress(step, done, total); };
}

TableReport ReportOf(const TableSource& table, const ChosenEncoding& chosen) {
  TableReport report;
  report.name = table.tensor.name;
  report.type = format::NameOf(chosen.encoding.type);
  const bool in_blocks = chosen.encoding.scale_of == format::ScaleOf::kBlock && !chosen.encoding.copied;
  if (in_blocks && chosen.encoding.type == DataType::Int8) report.type += "-blocks";
  report.rows = table.rows();
  report.vocabulary = table.vocabulary();
  report.cols = table.cols();
  report.screen = chosen.encoding.screen;
  report.calibrated = !chosen.encoding.screen_columns.empty();
  report.lossless = chosen.encoding.lossless;
  report.reason = chosen.reason;
  return report;
}

EntryPointReport ReportOf(const PlannedEntryPoint& entry_point) {
  EntryPointReport report{entry_point.name, {}};
  for (const Selector& selector : entry_point.selectors) report.selectors.push_back({selector.input, selector.value});
  return report;
}

// The moved uses, each listed once even if it has several operations.
std::vector<TiedUse> TiedUsesOf(const Plan& plan) {
  std::vector<TiedUse> uses;
  for (const MovedUse& moved : plan.moved) {
    const TableDifference& difference = moved.difference;
    const TiedUse use{moved.is_head ? "head" : "embedding",
                      plan.tables[moved.table].tensor.name,
                      moved.original.tensor.name,
                      difference.rounding_b,
                      difference.rounding_a,
                      difference.largest,
                      difference.rms};
    const bool told = std::any_of(uses.begin(), uses.end(), [&](const TiedUse& other) {
      return other.use == use.use && other.reads == use.reads && other.original == use.original;
    });
    if (!told) uses.push_back(use);
  }
  return uses;
}

// `path` leads to the file, which has no name yet.
CheckReport Check(const Graph& graph, const Plan& plan, const std::string& path) {
  CheckReport report;
  try {
    CheckConversion(graph, plan, path, &report);
    report.rows = CheckRows(plan, path);
  } catch (const ConvertError& error) {
    report.not_checked = error.what();
  }
  return report;
}

Plan PlanOf(const TableOptions& options, const Graph& graph, const std::string& source) {
  try {
    return MakePlan(graph, source, options.allow_untied, ProgressOf(options, "comparing"), options.tie);
  } catch (const ConvertError& error) {
    throw ConvertError(source + ": " + error.what());
  }
}

// source: the file from which the graph was read. others: written files that become visible just before the .tied file.
ConvertReport Write(const TableOptions& options, const Graph& graph, const std::string& source,
                    const std::string& output, const std::vector<std::unique_ptr<OnnxWriter>>& others) {
  const auto start = std::chrono::steady_clock::now();
  ConvertReport report;
  report.output = output;
  Plan plan = PlanOf(options, graph, source);
  if (!options.keep_ids.empty()) KeepIds(&plan, options.keep_ids);
  if (!options.drop_ids.empty()) DropIds(&plan, options.drop_ids);
  for (size_t i = 0; i < plan.tables.size(); ++i) {
    const ChosenEncoding chosen =
        ChooseEncoding(plan.tables[i], TypeOf(options.format),
                       {options.screen, options.calibrate, options.format == NumberFormat::kInt8Blocks, options.hidden},
                       ProgressOf(options, "reading"));
    plan.encodings[i] = chosen.encoding;
    report.tables.push_back(ReportOf(plan.tables[i], chosen));
  }
  report.tied_uses = TiedUsesOf(plan);
  for (const PlannedEntryPoint& entry_point : plan.entry_points) report.entry_points.push_back(ReportOf(entry_point));
  std::optional<ErrorMeter> meter;
  if (!plan.encodings[0].lossless) meter.emplace(plan.tables[0].rows(), plan.tables[0].cols(), options.hidden);
  OutputFile file(output);
  WriteFile(plan, &file, ProgressOf(options, "writing"), meter ? &*meter : nullptr);
  const std::string unnamed = "/proc/self/fd/" + std::to_string(file.descriptor());
  std::error_code ignored;
  report.bytes = fs::file_size(unnamed, ignored);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (meter) report.error = meter->Report();
  if (options.check) report.check = Check(graph, plan, unnamed);
  report.written = !report.check || report.check->passed();
  if (!report.written) return report;
  for (const auto& other : others) other->Commit();
  file.Commit();
  return report;
}

// External data may be in the output folder.
void RefuseInputsOfSplit(const SplitOptions& options, const std::vector<SplitModel>& models) {
  std::set<std::string> inputs = {options.tables.hidden, options.tables.calibrate, options.tables.keep_ids,
                                  options.tables.drop_ids};
  std::vector<fs::path> outputs = {"model.tied"};
  for (const SplitModel& model : models) {
    inputs.insert(model.files.begin(), model.files.end());
    inputs.insert(model.path);
    outputs.push_back(fs::path(model.path).filename());
    outputs.push_back(outputs.back().string() + ".data");
  }
  for (const fs::path& output : outputs) RefuseInputs((options.folder / output).string(), inputs);
}

void CheckPaths(const std::vector<std::string>& exports, const std::string& folder) {
  if (exports.empty()) throw ConvertError("no export to split is given");
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (folder == "-" || (fs::exists(status) && !fs::is_directory(status))) {
    throw ConvertError(folder + ": is not a folder; split writes model.tied and ONNX files to a folder");
  }
  std::set<std::string> names;
  for (const std::string& path : exports) {
    std::error_code ignored;
    if (fs::equivalent(fs::absolute(path).parent_path(), folder, ignored)) {
      throw ConvertError(folder + ": is the folder of " + path + " itself");
    }
    if (!names.insert(fs::path(path).filename()).second)
      throw ConvertError(path + ": another export has the same file name");
  }
}

}  // namespace

ConvertReport Convert(const ConvertOptions& options) {
  const Graph graph = ReadModel(options.model, options.choice);
  std::set<std::string> inputs = FilesOfModel(options.model, graph);
  inputs.insert({options.tables.hidden, options.tables.calibrate, options.tables.keep_ids, options.tables.drop_ids});
  RefuseInputs(options.output, inputs);
  try {
    return Write(options.tables, graph, options.model, options.output, {});
  } catch (const ConvertError&) {
    if (!IsWholeModel(graph)) throw;
    throw ConvertError(options.model +
                       ": is a whole decoder or encoder; 'tied-convert split' extracts the tied pair from it");
  }
}

ConvertReport Split(const SplitOptions& options) {
  const std::vector<std::string> exports = ExportsIn(options.exports);
  CheckPaths(exports, options.folder);
  std::vector<SplitModel> models = SplitExports(exports, {options.ids, options.logits, options.hidden});
  const Graph pair = PairOf(models);
  RefuseInputsOfSplit(options, models);
  const fs::path folder = options.folder;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw ConvertError(options.folder + ": cannot be created: " + error.message());
  std::vector<std::unique_ptr<OnnxWriter>> writers;
  for (SplitModel& model : models) {
    if (model.empty) continue;
    const std::string path = (folder / fs::path(model.path).filename()).string();
    writers.push_back(std::make_unique<OnnxWriter>(std::move(model.model), model.path, path));
    writers.back()->Write();
  }
  return Write(options.tables, pair, exports[0], (folder / "model.tied").string(), writers);
}

}  // namespace tied::converter
