// Shared by the subcommands: options, errors and printing of JSON.
#ifndef TIED_TOOLS_TIED_OPTIONS_H_
#define TIED_TOOLS_TIED_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tied/tied.hpp"

namespace tied::cli {

// Ordered, so that the output has a fixed order.
using Json = nlohmann::ordered_json;

// Wrong usage, such as contradictory flags: exit code 2. Other exceptions give 1.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

constexpr int kMostThreads = 256;  // of a session

struct CommonOptions {
  std::string model;
  bool json = false;
  SessionOptions session;
};

// The positional argument `model`.
CLI::Option* AddModel(CLI::App* command, CommonOptions* options);

// --json
void AddJson(CLI::App* command, CommonOptions* options);

// --threads
void AddThreads(CLI::App* command, CommonOptions* options);

// --deterministic, --no-deterministic
void AddDeterministic(CLI::App* command, CommonOptions* options);

// --xnnpack-min-tokens
void AddXnnpackMinTokens(CLI::App* command, CommonOptions* options);

// Turns "--ids 2 3 5" into "--ids 2,3,5", and the same for --tokens, because the next word may be the model.
std::vector<std::string> JoinLists(const std::vector<std::string>& words);

// Prints to standard output. Replaces bytes that are not UTF-8.
void PrintJson(const Json& json);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_OPTIONS_H_
