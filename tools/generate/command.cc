#include "tools/generate/command.h"

#include <algorithm>
#include <cstdlib>

namespace tied::generate {

namespace {

// The choices a and b of "{a,b}"; empty for other limits.
std::vector<std::string> ChoicesOf(const std::string& limits) {
  if (limits.size() < 2 || limits.front() != '{' || limits.back() != '}') return {};
  return CLI::detail::split(limits.substr(1, limits.size() - 2), ',');
}

Option Describe(const CLI::Option& from) {
  Option option;
  for (const std::string& name : from.get_snames()) option.names.push_back("-" + name);
  for (const std::string& name : from.get_lnames()) option.names.push_back("--" + name);
  option.description = from.get_description();
  if (from.get_expected_max() == 0) return option;
  // "TYPE:LIMITS"
  const std::string type = from.get_type_name();
  const size_t colon = std::min(type.find(':'), type.size());
  option.value =
      from.get_positional() && option.names.empty() ? from.get_name(/*positional=*/true) : type.substr(0, colon);
  option.type = type.substr(0, colon);
  if (colon < type.size()) option.limits = type.substr(colon + 1);
  option.choices = ChoicesOf(option.limits);
  option.default_value = from.get_default_str();
  option.is_required = from.get_required();
  option.takes_many = from.get_expected_max() > 1 || from.get_allow_extra_args();
  return option;
}

void AddOptions(const CLI::App& app, std::vector<Option>* options) {
  for (const CLI::Option* option : app.get_options()) {
    const bool is_help_of_group = app.get_name().empty() && option == app.get_help_ptr();
    if (!option->get_group().empty() && !is_help_of_group) options->push_back(Describe(*option));
  }
  for (const CLI::App* part : app.get_subcommands(nullptr)) {
    if (part->get_name().empty()) AddOptions(*part, options);  // a group of options
  }
}

}  // namespace

Command Describe(const CLI::App& app) {
  Command command;
  command.name = app.get_name();
  command.description = app.get_description();
  command.footer = app.get_footer();
  AddOptions(app, &command.options);
  for (const CLI::App* part : app.get_subcommands(nullptr)) {
    if (!part->get_name().empty()) command.commands.push_back(Describe(*part));
  }
  return command;
}

void AddGenerate(CLI::App* app, const std::string& version) {
  const auto generate = [app, version](const std::string& what) {
    const Command program = Describe(*app);
    std::string text = what == "man"    ? ManPage(program, version)
                       : what == "bash" ? BashCompletion(program)
                                        : ZshCompletion(program);
    text.pop_back();  // CLI11 ends the line
    // As for --version: CLI11 prints the text of the exception and exits with success.
    throw CLI::CallForVersion(text, EXIT_SUCCESS);
  };
  app->add_option_function<std::string>("--generate", generate, "")
      ->check(CLI::IsMember({"man", "bash", "zsh"}))
      ->trigger_on_parse()
      ->group("");
}

}  // namespace tied::generate
