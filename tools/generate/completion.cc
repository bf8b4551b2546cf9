// Completion for bash (its manual, "Programmable Completion") and for zsh (zshcompsys(1)).
#include <sstream>

#include "tools/generate/command.h"

namespace tied::generate {

namespace {

// The name of the shell function, such as "_tied_convert".
std::string FunctionOf(const Command& program) {
  std::string name = "_" + program.name;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

std::string Join(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::vector<std::string> NamesOf(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.name);
  return names;
}

const Option* PositionalOf(const Command& command) {
  for (const Option& option : command.options) {
    if (option.is_positional()) return &option;
  }
  return nullptr;
}

// Writes the cases "command option" for the word before, for one command; name: "" for the program's options.
void WriteBashValues(const Command& command, const std::string& name, std::ostream& out) {
  for (const Option& option : command.options) {
    if (option.is_positional() || option.is_flag()) continue;
    std::vector<std::string> words;
    for (const std::string& typed : option.names) words.push_back("'" + name + " " + typed + "'");
    out << "    " << Join(words, "|") << ")\n";
    if (!option.choices.empty()) {
      out << "      mapfile -t COMPREPLY < <(compgen -W '" << Join(option.choices, " ") << "' -- \"$word\")\n";
    } else if (option.type == "FOLDER") {
      out << "      compopt -o dirnames +o default\n";
    } else if (!option.is_path()) {
      out << "      compopt +o default\n";
    }
    out << "      return ;;\n";
  }
}

void WriteBashWords(const Command& command, const std::string& name, std::ostream& out) {
  std::vector<std::string> options;
  for (const Option& option : command.options) {
    options.insert(options.end(), option.names.begin(), option.names.end());
  }
  out << "    '" << name << "') options='" << Join(options, " ") << "' commands='"
      << Join(NamesOf(command.commands), " ") << "' files=" << (PositionalOf(command) == nullptr ? "" : "yes")
      << " ;;\n";
}

// Quotes text in an _arguments specification of zsh, where "[", "]" and ":" are special.
std::string ZshText(const std::string& text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') quoted += '\\';
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted;
}

std::string ZshAction(const Option& option) {
  if (!option.choices.empty()) return "(" + Join(option.choices, " ") + ")";
  if (option.type == "FOLDER") return "_files -/";
  return option.is_path() ? "_files" : " ";
}

void WriteZshOption(const Option& option, std::ostream& out) {
  for (const std::string& name : option.names) {
    out << " \\\n    '";
    if (option.takes_many) out << '*';
    if (name == "--help" || name == "-h" || name == "--version") {
      out << "(- *)";
    } else if (!option.takes_many && option.names.size() > 1) {
      out << "(" << Join(option.names, " ") << ")";
    }
    out << name << "[" << ZshText(option.description) << "]";
    if (!option.is_flag()) out << ":" << ZshText(option.value) << ":" << ZshAction(option);
    out << "'";
  }
}

void WriteZshArguments(const Command& command, const std::string& function, std::ostream& out) {
  out << function << "() {\n  _arguments -s";
  for (const Option& option : command.options) {
    if (!option.is_positional()) WriteZshOption(option, out);
  }
  if (const Option* positional = PositionalOf(command)) {
    out << " \\\n    '" << (positional->takes_many ? "*" : "1") << ":" << ZshText(positional->value) << ":"
        << ZshAction(*positional) << "'";
  }
  out << "\n}\n\n";
}

}  // namespace

std::string BashCompletion(const Command& program) {
  std::ostringstream out;
  const std::string function = FunctionOf(program);
  out << "# Completion of " << program.name << " in bash.\n"
      << function << "() {\n"
      << "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= options= commands= files= "
         "i\n"
      << "  if [[ $word == '=' ]]; then\n    word=\n"
      << "  elif [[ $before == '=' ]]; then\n    before=${COMP_WORDS[COMP_CWORD-2]}\n  fi\n"
      << "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      << "    case ${COMP_WORDS[i]} in\n      " << Join(NamesOf(program.commands), "|")
      << ") command=${COMP_WORDS[i]}; break ;;\n    esac\n  done\n"
      << "  COMPREPLY=()\n"
      << "  case \"$command $before\" in\n";
  WriteBashValues(program, "", out);
  for (const Command& command : program.commands) WriteBashValues(command, command.name, out);
  out << "  esac\n  case $command in\n";
  WriteBashWords(program, "", out);
  for (const Command& command : program.commands) WriteBashWords(command, command.name, out);
  out << "  esac\n"
      << "  if [[ $word == -* ]]; then\n"
      << "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
      << "    return\n  fi\n"
      << "  mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$word\")\n"
      << "  if [[ $files && ${#COMPREPLY[@]} -gt 0 ]]; then\n"
      << "    compopt -o filenames\n"
      << "    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$word\")\n"
      << "  elif [[ -z $files ]]; then\n    compopt +o default\n  fi\n"
      << "}\ncomplete -o default -F " << function << ' ' << program.name << '\n';
  return out.str();
}

std::string ZshCompletion(const Command& program) {
  std::ostringstream out;
  const std::string function = FunctionOf(program);
  out << "#compdef " << program.name << "\n# Completion of " << program.name << " in zsh.\n\n";
  for (const Command& command : program.commands) WriteZshArguments(command, function + "_" + command.name, out);
  const bool takes_files = PositionalOf(program) != nullptr;
  if (takes_files) WriteZshArguments(program, function + "_options", out);
  out << function << "() {\n"
      << "  local context state state_descr line\n  typeset -A opt_args\n"
      << "  local -a commands=(";
  for (const Command& command : program.commands) {
    out << "\n    '" << command.name << ":" << ZshText(command.description) << "'";
  }
  out << ")\n  _arguments -s -C";
  for (const Option& option : program.options) {
    if (!option.is_positional()) WriteZshOption(option, out);
  }
  out << " \\\n    '1: :->command' \\\n    '*:: :->arguments'\n"
      << "  case $state in\n"
      << "    command) _describe command commands" << (takes_files ? "; _files" : "") << " ;;\n"
      << "    arguments)\n      case $words[1] in\n";
  for (const Command& command : program.commands) {
    out << "        " << command.name << ") " << function << "_" << command.name << " ;;\n";
  }
  if (takes_files) out << "        *) " << function << "_options ;;\n";
  out << "      esac ;;\n  esac\n}\n\n" << function << " \"$@\"\n";
  return out.str();
}

}  // namespace tied::generate
