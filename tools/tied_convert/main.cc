// tied-convert: converts a model with a tied embedding and lm_head to a .tied file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <new>

#include "base/printable.h"
#include "converter/convert.h"
#include "tools/generate/command.h"
#include "tools/tied_convert/count_ids_command.h"
#include "tools/tied_convert/print_report.h"
#include "tools/tied_convert/progress_bar.h"

namespace {

using tied::Printable;
using tied::converter::ConvertReport;
using tied::converter::NumberFormat;
using tied::converter::SplitOptions;
using tied::converter::TableOptions;
using tied::converter::Tie;

struct Options {
  std::string input;
  std::string output;
  SplitOptions split;
  std::string dtype = "auto";
  std::string tie = "none";
  TableOptions tables;
  tied::converter::TableChoice choice;  // for safetensors
  bool quiet = false;
};

const std::map<std::string, NumberFormat> kFormats = {
    {"auto", NumberFormat::kAuto},       {"float32", NumberFormat::kFloat32},
    {"float16", NumberFormat::kFloat16}, {"bfloat16", NumberFormat::kBFloat16},
    {"int8", NumberFormat::kInt8},       {"int8-blocks", NumberFormat::kInt8Blocks},
    {"int4", NumberFormat::kInt4}};

// CLI11's validator without a description in --help.
CLI::Validator ExistingFile() { return CLI::Validator(CLI::ExistingFile).description(""); }

// "none" is the default, not a value of --tie.
const std::map<std::string, Tie> kTies = {
    {"none", Tie::kNone}, {"finer", Tie::kFiner}, {"embedding", Tie::kEmbedding}, {"head", Tie::kHead}};

// Converts, prints a summary and returns the exit code.
int Run(const Options& options) {
  TableOptions tables = options.tables;
  tables.format = kFormats.at(options.dtype);
  tables.tie = kTies.at(options.tie);
  if (!options.quiet) tables.progress = tied::converter::MakeProgressBar();
  SplitOptions split = options.split;
  split.tables = tables;
  const ConvertReport report = split.exports.empty()
                                   ? tied::converter::Convert({options.input, options.output, tables, options.choice})
                                   : tied::converter::Split(split);
  if (!options.quiet) tied::converter::PrintSummary(report, std::cout);
  if (report.error) tied::converter::PrintError(*report.error, std::cout);
  if (!report.check) return 0;
  tied::converter::PrintCheck(*report.check, std::cout);
  if (!report.check->not_checked.empty()) {
    std::cerr << "tied-convert: " << Printable(report.check->not_checked) << '\n';
  }
  if (report.written) return 0;
  std::cerr << "tied-convert: " << Printable(report.output) << ": nothing is written\n";
  return 1;
}

void AddChoiceOptions(CLI::App* app, tied::converter::TableChoice* choice) {
  app->add_option("--table", choice->table,
                  "For safetensors: the tensor that is both the embedding and the lm_head, regardless of config.json; "
                  "for unknown model families")
      ->type_name("NAME");
  app->add_option("--scale", choice->scale,
                  "With --table: factor on embeddings, a number, or sqrt for the square root of the width; default 1")
      ->type_name("NUMBER");
  app->add_option("--logit-scale", choice->logit_scale, "With --table: factor on logits")
      ->capture_default_str()
      ->type_name("NUMBER");
  app->add_option("--soft-cap", choice->soft_cap,
                  "With --table: c, if the model computes c * tanh(x / c) of each logit x; default: no soft cap")
      ->type_name("NUMBER");
  app->add_option("--bias", choice->bias, "With --table: the tensor that is added to the logits")->type_name("NAME");
}

// recorded: the option for recorded hidden states, because --hidden has a different meaning in `split`.
void AddTableOptions(CLI::App* app, const std::string& recorded, Options* options) {
  app->add_option(
         "--dtype", options->dtype,
         "Number format of the table. auto keeps the model's format, but stores float32 as float16 or bfloat16 if that "
         "keeps every value exactly. The others round, int8 with one scale per row, int8-blocks and int4 with one "
         "per 32 columns; the error is measured and printed")
      ->capture_default_str()
      ->type_name("TYPE")
      ->check(CLI::IsMember({"auto", "float32", "float16", "bfloat16", "int8", "int8-blocks", "int4"}));
  CLI::Option* screen = app->add_flag("--screen", options->tables.screen,
                                      "Add a screen: an exact top-k then reads about a seventh of a float32 table, or "
                                      "half to three quarters of an int8 one, instead of all of it");
  app->add_option(
         "--calibrate", options->tables.calibrate,
         "With --screen: hidden states of the model, float32 [tokens, cols], .npy or raw, for which the screen "
         "is made to be tight. Results are exact for all others, too")
      ->type_name("FILE")
      ->check(ExistingFile())
      ->needs(screen);
  app->add_option(
         recorded, options->tables.hidden,
         "Recorded hidden states, float32 [tokens, cols], .npy or raw: to measure the error of a lossy --dtype, "
         "and to choose the scales of int4 and int8-blocks")
      ->type_name("FILE")
      ->check(ExistingFile());
  CLI::Option* keep = app->add_option("--keep-ids", options->tables.keep_ids,
                                      "Write only the rows of these token ids: a text file of ids and ranges such as "
                                      "256000-256205, with comments after #. Callers keep using the same ids; the "
                                      "logits of other ids become -infinity");
  keep->type_name("FILE")->check(ExistingFile());
  app->add_option("--drop-ids", options->tables.drop_ids, "The opposite: write the rows of all other token ids")
      ->type_name("FILE")
      ->check(ExistingFile())
      ->excludes(keep);
  app->add_option("--tie", options->tie,
                  "If embedding and lm_head read the same matrix, rounded in two different ways, keep only the "
                  "embedding's table, the head's, or (finer, the default of --tie) the one with the smaller rounding "
                  "error; the effect on the other use is printed")
      ->type_name("TABLE")
      ->check(CLI::IsMember({"finer", "embedding", "head"}));
  app->add_flag("--allow-untied", options->tables.allow_untied,
                "Keep both tables if embedding and lm_head differ, instead of refusing the model");
  app->add_flag("--check", options->tables.check,
                "Before the file appears, compare it with a reference evaluation of the model; exit 1 if they differ");
  app->add_flag("-q,--quiet", options->quiet, "Print no summary and no progress");
}

// The arguments in reverse order, as CLI11 expects them. A --tie without a value gets its default here, because CLI11
// would take the next argument as its value.
std::vector<std::string> Arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    arguments.emplace_back(argv[i]);
    const std::string next = i + 1 < argc ? argv[i + 1] : "";
    if (arguments.back() == "--tie" && (next == "none" || kTies.count(next) == 0)) arguments.emplace_back("finer");
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Converts a model with a tied embedding and lm_head to a .tied file.", "tied-convert");
  app.add_option("model", options.input,
                 "An ONNX file, with its external data beside it; or a safetensors file, the index of several, or the "
                 "folder of either, with its config.json")
      ->type_name("FILE");
  app.add_option("-o,--output", options.output, "The .tied file; an existing file is replaced")->type_name("FILE");
  AddChoiceOptions(&app, &options.choice);
  AddTableOptions(&app, "--hidden", &options);
  CLI::App* split = app.add_subcommand("split", "Split whole exports into the tied pair and ONNX files without it");
  SplitOptions& names = options.split;
  split->add_option("exports", names.exports, "The ONNX files of one model, or the folder of an export")
      ->required()
      ->type_name("FILE");
  split->add_option("-o,--output", names.folder, "The folder for model.tied and the ONNX files")
      ->required()
      ->type_name("FOLDER");
  split
      ->add_option("--ids", names.ids,
                   "The input of token ids; default: input_ids, or the input that looks up the table")
      ->type_name("NAME");
  split->add_option("--logits", names.logits, "The output of logits; default: logits, or the product with the table")
      ->type_name("NAME");
  split->add_option("--hidden", names.hidden, "Name of the output of hidden states, which replaces the logits")
      ->type_name("NAME")
      ->capture_default_str();
  AddTableOptions(split, "--recorded", &options);
  const CLI::App* count_ids = tied::converter::AddCountIds(&app);
  app.set_version_flag("--version", "tied-convert " TIED_CONVERTER_VERSION);
  app.footer("Exit status: 0 for success, 1 for a failure or a --check that finds a difference, 2 for wrong usage.");
  tied::generate::AddGenerate(&app, TIED_CONVERTER_VERSION);
  try {
    app.parse(Arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (count_ids->parsed()) return 0;
  if (options.split.exports.empty() && (options.input.empty() || options.output.empty())) {
    std::cerr << "tied-convert: " << (options.input.empty() ? "model" : "--output") << " is required\n";
    return 2;
  }
  if (options.tables.screen && (options.dtype == "int4" || options.dtype == "int8-blocks")) {
    std::cerr << "tied-convert: --screen is not for " << options.dtype << ", whose scales are in blocks\n";
    return 2;
  }
  return Run(options);
}

// Libraries such as nlohmann::json allocate in destructors, where an exception ends the program.
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
  // Report a file size limit and a closed pipe as errors, after which files are removed, instead of as signals.
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
