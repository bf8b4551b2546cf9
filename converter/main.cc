// tied-convert: an ONNX model with a tied embedding and lm_head to a .tied file.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "converter/check.h"
#include "converter/encoding.h"
#include "converter/error.h"
#include "converter/error_meter.h"
#include "converter/graph.h"
#include "converter/plan.h"
#include "converter/progress_bar.h"
#include "converter/writer.h"

namespace {

namespace fs = std::filesystem;
namespace format = tied::format;
using format::DataType;
using tied::converter::ConvertError;
using tied::converter::FindSurvival;
using tied::converter::Progress;
using tied::converter::Survival;
using tied::converter::TableEncoding;
using tied::converter::TableSource;

struct Options {
  std::string input;
  std::string output;
  std::string dtype = "auto";
  std::string hidden;
  bool screen = false;
  bool check = false;
  bool quiet = false;
};

const std::map<std::string, DataType> kTypes = {{"f32", DataType::Float32},
                                                {"f16", DataType::Float16},
                                                {"bf16", DataType::BFloat16},
                                                {"i8", DataType::Int8},
                                                {"i4", DataType::Int4}};

// What the options ask for. `found` says what `auto` found in the table.
TableEncoding ChooseEncoding(const Options& options, const TableSource& table, const Progress& progress,
                             std::string* found) {
  TableEncoding encoding;
  encoding.screen = options.screen;
  if (options.dtype == "f32") return encoding;
  if (options.dtype == "i8" || options.dtype == "i4") {
    encoding.type = kTypes.at(options.dtype);
    encoding.lossless = false;
    return encoding;
  }
  const Survival survival = FindSurvival(table, progress);
  if (options.dtype == "auto") {
    if (survival.float16) {
      encoding.type = DataType::Float16;
    } else if (survival.bfloat16) {
      encoding.type = DataType::BFloat16;
    }
    *found = encoding.type == DataType::Float32
                 ? "kept as float32: neither float16 nor bfloat16 holds every value exactly"
                 : std::string("every value survives ") + format::EnumNameDataType(encoding.type) + " exactly";
    return encoding;
  }
  encoding.type = kTypes.at(options.dtype);
  encoding.lossless = encoding.type == DataType::Float16 ? survival.float16 : survival.bfloat16;
  return encoding;
}

void PrintSummary(const Options& options, const tied::converter::Plan& plan, double seconds) {
  const tied::converter::TableSource& table = plan.tables[0];
  std::printf("%s: table '%s', %s [%llu, %llu]%s\n", options.output.c_str(), table.tensor.name.c_str(),
              format::EnumNameDataType(plan.encoding.type), static_cast<unsigned long long>(table.rows()),
              static_cast<unsigned long long>(table.cols()), plan.encoding.screen ? ", with a screen" : "");
  for (const tied::converter::PlannedEntryPoint& entry_point : plan.entry_points) {
    std::printf("  entry point '%s'", entry_point.name.c_str());
    for (const tied::converter::Choice& choice : entry_point.choices) {
      std::printf(", %s = %s", choice.input.c_str(), choice.value ? "true" : "false");
    }
    std::printf("\n");
  }
  std::printf("  %ju bytes from %ju in %.2f s\n", static_cast<uintmax_t>(fs::file_size(options.output)),
              static_cast<uintmax_t>(fs::file_size(options.input)), seconds);
}

int Convert(const Options& options) {
  std::error_code ignored;
  if (fs::equivalent(options.input, options.output, ignored)) {
    throw ConvertError(options.output + ": is the input itself");
  }
  const auto start = std::chrono::steady_clock::now();
  const auto progress = [&](const char* step) {
    return options.quiet ? [](uint64_t, uint64_t) {} : tied::converter::MakeProgressBar(step);
  };
  const tied::converter::Graph graph = tied::converter::ReadGraph(options.input);
  tied::converter::Plan plan = tied::converter::MakePlan(graph, options.input, progress("comparing"));
  const TableSource& table = plan.tables[0];
  std::string found;
  plan.encoding = ChooseEncoding(options, table, progress("reading"), &found);
  std::optional<tied::converter::ErrorMeter> meter;
  if (!plan.encoding.lossless) meter.emplace(table.rows(), table.cols(), options.hidden);
  tied::converter::WriteFile(plan, options.output, progress("writing"), meter ? &*meter : nullptr);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!options.quiet) PrintSummary(options, plan, seconds.count());
  if (!options.quiet && !found.empty()) std::cout << "  " << found << '\n';
  if (meter) meter->Report(std::cout);
  const bool passed =
      !options.check || tied::converter::CheckConversion(graph, options.output, plan.encoding.lossless, std::cout);
  return passed ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Converts an ONNX model of a tied embedding and lm_head to a .tied file.");
  app.add_option("model", options.input, "The ONNX file; external data is found beside it")->required();
  app.add_option("-o,--output", options.output, "The .tied file; one that is there already is replaced")->required();
  app.add_option("--dtype", options.dtype,
                 "Number format of the table: auto (default) keeps float32 unless every value survives float16 or "
                 "bfloat16 exactly; f32, f16, bf16, i8 (one scale a row) and i4 (one scale for 32 columns) round, and "
                 "the error is measured and printed")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "i8", "i4"}));
  app.add_flag("--screen", options.screen,
               "Add an int8 screen, with which the best rows are found by reading a quarter of a float32 table");
  app.add_option("--hidden", options.hidden,
                 "Recorded hidden states to measure the error of a lossy --dtype with: raw little-endian float32, "
                 "[tokens, cols]")
      ->check(CLI::ExistingFile);
  app.add_flag("--check", options.check,
               "Afterwards, compare the file with a reference evaluation of the ONNX graph; exit 1 if they differ");
  app.add_flag("-q,--quiet", options.quiet, "No summary and no progress");
  app.set_version_flag("--version", "tied-convert " TIED_CONVERTER_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.screen && (options.dtype == "i8" || options.dtype == "i4")) {
    std::cerr << "tied-convert: --screen is for float tables; " << options.dtype << " reads little as it is\n";
    return 2;
  }
  try {
    return Convert(options);
  } catch (const std::exception& error) {
    std::cerr << "tied-convert: " << error.what() << '\n';
    return 1;
  }
}
