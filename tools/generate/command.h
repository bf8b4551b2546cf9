// A description of the command line, read from the definitions for CLI11. --help, man pages and shell completion are
// all made from these definitions.
#ifndef TIED_TOOLS_GENERATE_COMMAND_H_
#define TIED_TOOLS_GENERATE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tied::generate {

struct Option {
  std::vector<std::string> names;  // "-o", "--output"; empty for a positional argument
  std::string value;               // name of the positional argument, or "FILE" in "--output FILE"; empty for a flag
  std::string type;                // "FILE", "FOLDER", "INT" …; empty for a flag
  std::vector<std::string> choices;
  std::string limits;  // accepted values, as in --help
  std::string description;
  std::string default_value;
  bool is_required = false;
  bool takes_many = false;

  bool is_positional() const { return names.empty(); }
  bool is_flag() const { return !names.empty() && value.empty(); }
  bool is_path() const { return type == "FILE" || type == "FOLDER"; }
};

struct Command {
  std::string name;
  std::string description;
  std::string footer;  // "TITLE: TEXT", or nothing
  std::vector<Option> options;
  std::vector<Command> commands;
};

// Describes the program without hidden options.
Command Describe(const CLI::App& app);

// Return the text of each file.
std::string ManPage(const Command& program, const std::string& version);
std::string BashCompletion(const Command& program);
std::string ZshCompletion(const Command& program);

// Adds the hidden option --generate man|bash|zsh to a program, which prints that file and exits like --help. Call it
// after all other options are added.
void AddGenerate(CLI::App* app, const std::string& version);

}  // namespace tied::generate

#endif  // TIED_TOOLS_GENERATE_COMMAND_H_
