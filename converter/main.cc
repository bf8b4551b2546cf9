// tied-convert: an ONNX model with a tied embedding and lm_head to a .tied file.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "converter/check.h"
#include "converter/error.h"
#include "converter/graph.h"
#include "converter/plan.h"
#include "converter/progress_bar.h"
#include "converter/writer.h"

namespace {

namespace fs = std::filesystem;
using tied::converter::ConvertError;

struct Options {
  std::string input;
  std::string output;
  bool check = false;
  bool quiet = false;
};

void PrintSummary(const Options& options, const tied::converter::Plan& plan, double seconds) {
  const tied::converter::TableSource& table = plan.tables[0];
  std::printf("%s: table '%s', float32 [%llu, %llu]\n", options.output.c_str(), table.tensor.name.c_str(),
              static_cast<unsigned long long>(table.rows()), static_cast<unsigned long long>(table.cols()));
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
  const tied::converter::Plan plan = tied::converter::MakePlan(graph, options.input, progress("comparing"));
  tied::converter::WriteFile(plan, options.output, progress("writing"));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!options.quiet) PrintSummary(options, plan, seconds.count());
  return !options.check || tied::converter::CheckConversion(graph, options.output, std::cout) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Converts an ONNX model of a tied embedding and lm_head to a .tied file.");
  app.add_option("model", options.input, "The ONNX file; external data is found beside it")->required();
  app.add_option("-o,--output", options.output, "The .tied file; one that is there already is replaced")->required();
  app.add_flag("--check", options.check,
               "Afterwards, compare the file with a reference evaluation of the ONNX graph; exit 1 if they differ");
  app.add_flag("-q,--quiet", options.quiet, "No summary and no progress");
  app.set_version_flag("--version", "tied-convert " TIED_CONVERTER_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return Convert(options);
  } catch (const std::exception& error) {
    std::cerr << "tied-convert: " << error.what() << '\n';
    return 1;
  }
}
