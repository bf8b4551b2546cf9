// The subcommands of `tied`. Each function adds one to the program, which runs if it is the one in the command line.
#ifndef TIED_TOOLS_TIED_COMMANDS_H_
#define TIED_TOOLS_TIED_COMMANDS_H_

#include <CLI/CLI.hpp>

namespace tied::cli {

void AddInspect(CLI::App& program);
void AddEmbed(CLI::App& program);
void AddLogits(CLI::App& program);
void AddArgmax(CLI::App& program);
void AddTopk(CLI::App& program);
void AddRun(CLI::App& program);
void AddVerify(CLI::App& program);
void AddBench(CLI::App& program);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_COMMANDS_H_
