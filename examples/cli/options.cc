#include "examples/cli/options.h"

#include <iostream>

namespace tied::cli {

CLI::Option* AddModel(CLI::App* command, CommonOptions* options) {
  return command->add_option("model", options->model, "The .tied file")->required();
}

void AddJson(CLI::App* command, CommonOptions* options) {
  command->add_flag("--json", options->json, "Print JSON instead of a table");
}

void AddThreads(CLI::App* command, CommonOptions* options) {
  command
      ->add_option("--threads", options->session.threads,
                   "Threads to compute with; 0: one for each performance core (default)")
      ->check(CLI::Range(0, 256));
}

void AddDeterministic(CLI::App* command, CommonOptions* options) {
  command->add_flag(
      "--deterministic,!--no-deterministic", options->session.deterministic,
      "The same bits on every CPU and for every number of threads (default), or whatever order is fastest here");
}

void PrintJson(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n'; }

}  // namespace tied::cli
