// tied: inspects, runs and measures a .tied file from the command line.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "base/printable.h"
#include "tied/tied.hpp"
#include "tools/generate/command.h"
#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/table.h"

namespace tied::cli {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

std::string Version() {
  const uint32_t version = tied_version();
  return std::to_string(version / 1000000) + "." + std::to_string(version / 1000 % 1000) + "." +
         std::to_string(version % 1000);
}

// "tied embed" if the command is known, otherwise "tied".
std::string Prefix(const CLI::App& program) {
  const auto typed = program.get_subcommands();
  return typed.empty() ? "tied" : "tied " + typed.front()->get_name();
}

int ReportUsage(const CLI::App& program, const std::string& message) {
  const std::string prefix = Prefix(program);
  std::cerr << prefix << ": " << message << "\nSee " << prefix << " --help\n";
  return kUsage;
}

int ReportFailure(const CLI::App& program, const std::string& message) {
  std::cerr << Prefix(program) << ": " << Printable(message) << "\n";  // it may name what is in a stranger's file
  return kFailure;
}

int Main(int argc, char** argv) {
  CLI::App program("The tied embedding and lm_head of a translation or language model, from one copy of the table.",
                   "tied");
  program.require_subcommand(1);
  program.set_version_flag("--version", "tied " + Version());
  AddInspect(program);
  AddVerify(program);
  AddEmbed(program);
  AddLogits(program);
  AddArgmax(program);
  AddTopk(program);
  AddRun(program);
  AddBench(program);
  program.footer("Exit status: 0 for success, 1 for a failure, 2 for wrong usage.");
  generate::AddGenerate(&program, Version());

  try {
    std::vector<std::string> words = JoinLists({argv + 1, argv + argc});
    std::reverse(words.begin(), words.end());  // the order that CLI11 expects
    program.parse(words);
    std::cout.flush();
    if (!std::cout) return ReportFailure(program, "cannot write to standard output");
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == EXIT_SUCCESS) return program.exit(error);  // --help and --version
    const std::vector<std::string> unknown = program.remaining();
    return ReportUsage(program, unknown.empty() ? error.what() : "unknown command: " + unknown.front());
  } catch (const UsageError& error) {
    return ReportUsage(program, error.what());
  } catch (const std::bad_alloc&) {
    return ReportFailure(program, "not enough memory");
  } catch (const std::exception& error) {
    return ReportFailure(program, error.what());
  }
}

}  // namespace
}  // namespace tied::cli

int main(int argc, char** argv) {
  // Report a closed pipe and a file size limit as errors, after which files are removed, instead of as signals.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return tied::cli::Main(argc, argv);
}
