// tied-convert: a model with a tied embedding and lm_head to a .tied file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/printable.h"
#include "converter/check/check.h"
#include "converter/check/check_rows.h"
#include "converter/graph/graph.h"
#include "converter/model_reader.h"
#include "converter/onnx/write.h"
#include "converter/output/encoding.h"
#include "converter/output/error_meter.h"
#include "converter/output/keep_ids.h"
#include "converter/output/plan.h"
#include "converter/output/writer.h"
#include "converter/split/split.h"
#include "tools/tied_convert/count_ids_command.h"
#include "tools/tied_convert/progress_bar.h"

namespace {

namespace fs = std::filesystem;
namespace format = tied::format;
using format::DataType;
using tied::converter::ConvertError;
using tied::converter::ElementType;
using tied::converter::FindSurvival;
using tied::converter::Plan;
using tied::converter::Printable;
using tied::converter::Progress;
using tied::converter::RefuseInputs;
using tied::converter::SameValues;
using tied::converter::Survival;
using tied::converter::TableEncoding;
using tied::converter::TableSource;

struct Options {
  std::string input;
  std::vector<std::string> exports;  // of `split`
  std::string output;
  std::string dtype = "auto";
  std::string hidden;
  std::string keep_ids;
  std::string drop_ids;
  bool screen = false;
  bool allow_untied = false;
  bool check = false;
  bool quiet = false;
};

const std::map<std::string, DataType> kTypes = {{"f32", DataType::Float32},
                                                {"f16", DataType::Float16},
                                                {"bf16", DataType::BFloat16},
                                                {"i8", DataType::Int8},
                                                {"i4", DataType::Int4}};

std::string SurvivedBy(const Survival& survival) {
  if (!survival.float16 && !survival.bfloat16) {
    return "kept as float32: neither float16 nor bfloat16 holds every value exactly";
  }
  return std::string("every value survives ") + (survival.float16 ? "Float16" : "BFloat16") + " exactly";
}

// What a table is stored as when nothing is asked for: the narrowest type that loses nothing. `found` says why.
TableEncoding ChooseAutomatically(const TableSource& table, const Progress& progress, std::string* found) {
  if (table.quantised()) {
    *found = "kept as it is quantised in the model";
    return tied::converter::EncodingOf(table);
  }
  TableEncoding encoding;
  if (table.tensor.type != ElementType::kFloat32) {
    encoding.type = static_cast<DataType>(table.tensor.type);
    *found = "kept as it is in the model";
    return encoding;
  }
  const Survival survival = FindSurvival(table, progress);
  if (survival.bfloat16) encoding.type = DataType::BFloat16;
  if (survival.float16) encoding.type = DataType::Float16;
  *found = SurvivedBy(survival);
  return encoding;
}

// What the options ask for.
TableEncoding ChooseEncoding(const Options& options, const TableSource& table, const Progress& progress,
                             std::string* found) {
  TableEncoding encoding;
  if (options.dtype == "auto") {
    encoding = ChooseAutomatically(table, progress, found);
  } else {
    encoding.type = kTypes.at(options.dtype);
  }
  if (encoding.type == DataType::Int8 || encoding.type == DataType::Int4) encoding.lossless = encoding.kept;
  if (options.dtype == "f16" || options.dtype == "bf16") {
    const Survival survival = FindSurvival(table, progress);
    encoding.lossless = encoding.type == DataType::Float16 ? survival.float16 : survival.bfloat16;
  }
  encoding.screen = options.screen;
  if (options.screen && encoding.kept) {
    throw ConvertError("--screen is for float tables; '" + table.tensor.name +
                       "' is quantised and reads little as it is");
  }
  return encoding;
}

void PrintTable(const TableSource& table, const TableEncoding& encoding, const std::string& found) {
  const std::string of = table.kept == nullptr ? "" : " of " + std::to_string(table.vocabulary()) + " ids";
  std::printf("  table '%s', %s [%llu, %llu]%s%s%s%s\n", Printable(table.tensor.name).c_str(),
              format::EnumNameDataType(encoding.type), static_cast<unsigned long long>(table.rows()),
              static_cast<unsigned long long>(table.cols()), of.c_str(), encoding.screen ? ", with a screen" : "",
              found.empty() ? "" : "; ", found.c_str());
}

void PrintSummary(const Options& options, const Plan& plan, const std::vector<std::string>& found, double seconds) {
  std::printf("%s:\n", options.output.c_str());
  for (size_t i = 0; i < plan.tables.size(); ++i) PrintTable(plan.tables[i], plan.encodings[i], found[i]);
  for (const tied::converter::PlannedEntryPoint& entry_point : plan.entry_points) {
    std::printf("  entry point '%s'", Printable(entry_point.name).c_str());
    for (const tied::converter::Choice& choice : entry_point.choices) {
      std::printf(", %s = %s", Printable(choice.input).c_str(), choice.value ? "true" : "false");
    }
    std::printf("\n");
  }
  std::printf("  %ju bytes in %.2f s\n", static_cast<uintmax_t>(fs::file_size(options.output)), seconds);
}

// `source`: the file that the graph was read from. `others`: files that are written already and become visible with the
// .tied file, before it.
int Write(const Options& options, const tied::converter::Graph& graph, const std::string& source,
          const std::vector<std::unique_ptr<tied::converter::OnnxWriter>>& others) {
  const auto start = std::chrono::steady_clock::now();
  const auto progress = [&](const char* step) {
    return options.quiet ? [](uint64_t, uint64_t) {} : tied::converter::MakeProgressBar(step);
  };
  Plan plan = tied::converter::MakePlan(graph, source, options.allow_untied, progress("comparing"));
  if (!options.keep_ids.empty()) tied::converter::KeepIds(&plan, options.keep_ids);
  if (!options.drop_ids.empty()) tied::converter::DropIds(&plan, options.drop_ids);
  std::vector<std::string> found(plan.tables.size());
  for (size_t i = 0; i < plan.tables.size(); ++i) {
    plan.encodings[i] = ChooseEncoding(options, plan.tables[i], progress("reading"), &found[i]);
  }
  const TableSource& table = plan.tables[0];
  const bool lossless = std::all_of(plan.encodings.begin(), plan.encodings.end(),
                                    [](const TableEncoding& encoding) { return encoding.lossless; });
  std::optional<tied::converter::ErrorMeter> meter;
  if (!plan.encodings[0].lossless) meter.emplace(table.rows(), table.cols(), options.hidden);
  tied::converter::OutputFile file(options.output);
  tied::converter::WriteFile(plan, &file, progress("writing"), meter ? &*meter : nullptr);
  for (const auto& other : others) other->Commit();
  file.Commit();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!options.quiet) PrintSummary(options, plan, found, seconds.count());
  if (meter) meter->Report(std::cout);
  if (!options.check) return 0;
  const bool computes = tied::converter::CheckConversion(graph, options.output, lossless, std::cout);
  const bool holds = tied::converter::CheckRows(plan, options.output, std::cout);
  return computes && holds ? 0 : 1;
}

int Convert(const Options& options) {
  const tied::converter::Graph graph = tied::converter::ReadModel(options.input);
  std::set<std::string> inputs = tied::converter::FilesOfModel(options.input, graph);
  inputs.insert({options.hidden, options.keep_ids, options.drop_ids});
  RefuseInputs(options.output, inputs);
  return Write(options, graph, options.input, {});
}

// All exports must read the decoder's table, scaled in the same way.
void CheckSameTable(const tied::converter::SplitModel& decoder, const tied::converter::SplitModel& other) {
  const bool same = other.table.tensor.SamePlace(decoder.table.tensor) ||
                    SameValues(decoder.table, other.table, [](uint64_t, uint64_t) {});
  if (!same) throw ConvertError(decoder.path + " and " + other.path + " do not read the same table");
  if (other.scale != decoder.scale) {
    throw ConvertError(decoder.path + " and " + other.path + " scale embeddings in different ways");
  }
}

// External data may lie in the folder of the output.
void RefuseInputsOfSplit(const Options& options, const std::vector<tied::converter::SplitModel>& models) {
  std::set<std::string> inputs = {options.hidden, options.keep_ids, options.drop_ids};
  std::vector<fs::path> outputs = {"model.tied"};
  for (const tied::converter::SplitModel& model : models) {
    inputs.insert(model.files.begin(), model.files.end());
    inputs.insert(model.path);
    outputs.push_back(fs::path(model.path).filename());
    outputs.push_back(outputs.back().string() + ".data");
  }
  for (const fs::path& output : outputs) RefuseInputs((options.output / output).string(), inputs);
}

// The first export is the decoder. Into the folder `output`: each export without the table, and model.tied. All are on
// the disk before the first becomes visible, model.tied is the last.
int Split(Options options) {
  const fs::path folder = options.output;
  std::vector<tied::converter::SplitModel> models;
  std::set<std::string> names;
  for (const std::string& path : options.exports) {
    std::error_code ignored;
    if (fs::equivalent(fs::absolute(path).parent_path(), folder, ignored)) {
      throw ConvertError(options.output + ": is the folder of " + path + " itself");
    }
    if (!names.insert(fs::path(path).filename()).second) throw ConvertError(path + ": another file has its name");
    models.push_back(tied::converter::SplitOnnx(path));
    CheckSameTable(models[0], models.back());
  }
  const tied::converter::Graph pair = tied::converter::PairOf(models[0]);
  RefuseInputsOfSplit(options, models);
  fs::create_directories(folder);
  std::vector<std::unique_ptr<tied::converter::OnnxWriter>> writers;
  for (tied::converter::SplitModel& model : models) {
    const std::string path = (folder / fs::path(model.path).filename()).string();
    writers.push_back(std::make_unique<tied::converter::OnnxWriter>(std::move(model.model), model.path, path));
    writers.back()->Write();
  }
  options.output = (folder / "model.tied").string();
  return Write(options, pair, options.exports[0], writers);
}

void AddTableOptions(CLI::App* app, Options* options) {
  app->add_option("--dtype", options->dtype,
                  "Number format of the table: auto (default) keeps quantised and narrow tables as they are, and "
                  "float32 unless every value survives float16 or bfloat16 exactly; f32, f16, bf16, i8 (one scale a "
                  "row) and i4 (one scale for 32 columns) round, and the error is measured and printed")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "i8", "i4"}));
  app->add_flag("--screen", options->screen,
                "Add an int8 screen, with which the best rows are found by reading a quarter of a float32 table");
  app->add_option("--hidden", options->hidden,
                  "Recorded hidden states to measure the error of a lossy --dtype with: raw little-endian float32, "
                  "[tokens, cols]")
      ->check(CLI::ExistingFile);
  CLI::Option* keep = app->add_option("--keep-ids", options->keep_ids,
                                      "Write the rows of these token ids only: a text file of ids and ranges such as "
                                      "256000-256205, with comments behind #. Callers keep using the same ids; the "
                                      "logits of the others become -infinity");
  keep->check(CLI::ExistingFile);
  app->add_option("--drop-ids", options->drop_ids, "The opposite: write the rows of all token ids but these")
      ->check(CLI::ExistingFile)
      ->excludes(keep);
  app->add_flag("--allow-untied", options->allow_untied,
                "Keep both tables where the embedding and the lm_head are not the same, instead of refusing");
  app->add_flag("--check", options->check,
                "Afterwards, compare the file with a reference evaluation of the model; exit 1 if they differ");
  app->add_flag("-q,--quiet", options->quiet, "No summary and no progress");
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Converts a model with a tied embedding and lm_head to a .tied file.");
  app.add_option("model", options.input,
                 "An ONNX file, with its external data beside it; or a safetensors file, the index of several, or the "
                 "folder of either, with its config.json");
  app.add_option("-o,--output", options.output, "The .tied file; one that is there already is replaced");
  AddTableOptions(&app, &options);
  CLI::App* split = app.add_subcommand("split", "Take whole exports apart: the tied pair, and ONNX files without it");
  split->add_option("exports", options.exports, "The decoder's ONNX file, then others that read the same table")
      ->required();
  split->add_option("-o,--output", options.output, "The folder for model.tied and the ONNX files")->required();
  AddTableOptions(split, &options);
  const CLI::App* count_ids = tied::converter::AddCountIds(&app);
  app.set_version_flag("--version", "tied-convert " TIED_CONVERTER_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (count_ids->parsed()) return 0;
  if (options.exports.empty() && (options.input.empty() || options.output.empty())) {
    std::cerr << "tied-convert: " << (options.input.empty() ? "model" : "--output") << " is required\n";
    return 2;
  }
  if (options.screen && (options.dtype == "i8" || options.dtype == "i4")) {
    std::cerr << "tied-convert: --screen is for float tables; " << options.dtype << " reads little as it is\n";
    return 2;
  }
  return options.exports.empty() ? Convert(options) : Split(options);
}

// Libraries get memory in destructors, where an exception is no longer possible (nlohmann::json does).
[[noreturn]] void Terminate() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    std::fputs("tied-convert: not enough memory\n", stderr);
    std::_Exit(1);
  } catch (...) {
  }
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  std::set_terminate(Terminate);
  // A file that may not grow and a pipe that nobody reads are errors like others, after which files are removed.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return Main(argc, argv);
  } catch (const std::bad_alloc&) {
    std::cerr << "tied-convert: not enough memory\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "tied-convert: " << Printable(error.what()) << '\n';
    return 1;
  }
}
