// tied-convert count-ids: proposes a list for --keep-ids.
#ifndef TIED_TOOLS_TIED_CONVERT_COUNT_IDS_COMMAND_H_
#define TIED_TOOLS_TIED_CONVERT_COUNT_IDS_COMMAND_H_

#include <CLI/CLI.hpp>

namespace tied::converter {

// The subcommand runs while the command line is parsed, and throws ConvertError.
CLI::App* AddCountIds(CLI::App* app);

}  // namespace tied::converter

#endif  // TIED_TOOLS_TIED_CONVERT_COUNT_IDS_COMMAND_H_
