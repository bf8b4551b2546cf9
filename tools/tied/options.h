// What several subcommands share: their flags, their errors and how they print JSON.
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

// Ordered, so that a program's output looks the same every time.
using Json = nlohmann::ordered_json;

// Flags that contradict each other: exit code 2, where any other exception gives 1.
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

// The model's path, positional.
CLI::Option* AddModel(CLI::App* command, CommonOptions* options);

// --json
void AddJson(CLI::App* command, CommonOptions* options);

// --threads
void AddThreads(CLI::App* command, CommonOptions* options);

// --deterministic, --no-deterministic
void AddDeterministic(CLI::App* command, CommonOptions* options);

// --xnnpack-min-tokens
void AddXnnpackMinTokens(CLI::App* command, CommonOptions* options);

// `words` with "--ids 2 3 5" as "--ids 2,3,5", and so --tokens: what follows may be the model, in place of a number.
std::vector<std::string> JoinLists(const std::vector<std::string>& words);

// Prints to standard output. Bytes that are not UTF-8 are replaced.
void PrintJson(const Json& json);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_OPTIONS_H_
