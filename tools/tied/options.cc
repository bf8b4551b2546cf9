#include "tools/tied/options.h"

#include <iostream>

namespace tied::cli {

CLI::Option* AddModel(CLI::App* command, CommonOptions* options) {
  return command->add_option("model", options->model, "The .tied file")->required()->type_name("FILE");
}

void AddJson(CLI::App* command, CommonOptions* options) {
  command->add_flag("--json", options->json, "Print JSON instead of a table");
}

void AddThreads(CLI::App* command, CommonOptions* options) {
  command->add_option("--threads", options->session.threads, "Number of threads; 0: one per performance core")
      ->capture_default_str()
      ->check(CLI::Range(0, kMostThreads));
}

void AddDeterministic(CLI::App* command, CommonOptions* options) {
  command->add_flag("--deterministic,!--no-deterministic", options->session.deterministic,
                    "Give the same bits on every CPU and for any number of threads (default), or use the fastest order "
                    "of summation");
}

void AddXnnpackMinTokens(CLI::App* command, CommonOptions* options) {
  command
      ->add_option("--xnnpack-min-tokens", options->session.xnnpack_min_tokens,
                   "With --no-deterministic: use XNNPACK from this many tokens on; 0: if it is known to be faster")
      ->capture_default_str()
      ->check(CLI::Range(0, 65536));
}

std::vector<std::string> JoinLists(const std::vector<std::string>& words) {
  const auto is_list = [](const std::string& word) {
    return !word.empty() && word.find_first_not_of("0123456789,") == std::string::npos;
  };
  std::vector<std::string> joined;
  bool in_list = false;
  for (const std::string& word : words) {
    if (in_list && is_list(word) && is_list(joined.back())) {
      joined.back() += "," + word;
      continue;
    }
    if (!in_list || !is_list(word)) in_list = word == "--ids" || word == "--tokens";
    joined.push_back(word);
  }
  return joined;
}

void PrintJson(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n'; }

}  // namespace tied::cli
