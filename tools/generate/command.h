// A command line as plain text, read from the definitions that CLI11 parses with: the one source of --help, of the man
// pages and of the completion in shells.
#ifndef TIED_TOOLS_GENERATE_COMMAND_H_
#define TIED_TOOLS_GENERATE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tied::generate {

struct Option {
  std::vector<std::string> names;  // "-o", "--output"; empty for a positional argument
  std::string value;  // the name of the positional argument, or "FILE" of "--output FILE"; empty for a flag
  std::string type;   // "FILE", "FOLDER", "INT" …; empty for a flag
  std::vector<std::string> choices;
  std::string limits;  // what is accepted, as --help words it
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

// Without what --help hides.
Command Describe(const CLI::App& app);

// Each as the text of its file.
std::string ManPage(const Command& program, const std::string& version);
std::string BashCompletion(const Command& program);
std::string ZshCompletion(const Command& program);

// Adds the hidden option --generate man|bash|zsh to a program, which prints that file and ends the program as --help
// does. Comes after everything else is added.
void AddGenerate(CLI::App* app, const std::string& version);

}  // namespace tied::generate

#endif  // TIED_TOOLS_GENERATE_COMMAND_H_
