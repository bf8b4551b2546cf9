#include "tools/tied/options.h"

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
      ->check(CLI::Range(0, kMostThreads));
}

void AddDeterministic(CLI::App* command, CommonOptions* options) {
  command->add_flag(
      "--deterministic,!--no-deterministic", options->session.deterministic,
      "The same bits on every CPU and for every number of threads (default), or whatever order is fastest here");
}

void AddXnnpackMinTokens(CLI::App* command, CommonOptions* options) {
  command
      ->add_option(
          "--xnnpack-min-tokens", options->session.xnnpack_min_tokens,
          "With --no-deterministic: XNNPACK from so many tokens on; 0: where it is known to be faster (default)")
      ->check(CLI::Range(0, 65536));
}

void PrintJson(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n'; }

}  // namespace tied::cli
