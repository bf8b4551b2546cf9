// Writes a manual page with groff's man macros (man 7 man).
#include <algorithm>
#include <cctype>
#include <sstream>

#include "tools/generate/command.h"

namespace tied::generate {

namespace {

// Escapes text for one line of the page, so that nothing in it is a request or an escape.
std::string Escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c == '\n' ? ' ' : c;
    }
  }
  const bool is_request = !escaped.empty() && (escaped[0] == '.' || escaped[0] == '\'');
  return (is_request ? "\\&" : "") + escaped;
}

std::string Bold(const std::string& text) { return "\\fB" + Escape(text) + "\\fR"; }
std::string Italic(const std::string& text) { return "\\fI" + Escape(text) + "\\fR"; }

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

// The arguments after the command: "[options] FILE...".
std::string Usage(const Command& command) {
  std::string usage = " [options]";
  if (!command.commands.empty() && command.options.size() <= 3) usage += " " + Italic("command");
  for (const Option& option : command.options) {
    if (!option.is_positional()) continue;
    const std::string name = Italic(option.value) + (option.takes_many ? " ..." : "");
    usage += " " + (option.is_required ? name : "[" + name + "]");
  }
  return usage;
}

void Write(const Option& option, std::ostream& out) {
  out << ".TP\n";
  if (option.is_positional()) {
    out << Italic(option.value);
  } else {
    for (size_t i = 0; i < option.names.size(); ++i) out << (i == 0 ? "" : ", ") << Bold(option.names[i]);
    if (!option.is_flag()) out << ' ' << Italic(option.value) << (option.takes_many ? " ..." : "");
  }
  out << '\n' << Escape(option.description);
  std::string more;
  const auto add = [&](const std::string& text) { more += (more.empty() ? "" : "; ") + text; };
  if (option.is_required && !option.is_positional()) add("required");
  if (!option.choices.empty()) {
    std::string list;
    for (const std::string& choice : option.choices) list += (list.empty() ? "" : ", ") + choice;
    add("one of " + list);
  } else if (!option.limits.empty() && option.limits != option.type) {
    add(option.limits);
  }
  if (!option.default_value.empty()) add("default: " + option.default_value);
  if (!more.empty()) out << (option.description.empty() ? "" : " ") << Escape("(" + more + ")");
  out << '\n';
}

void WriteOptions(const Command& command, std::ostream& out) {
  for (const bool positional : {true, false}) {
    for (const Option& option : command.options) {
      if (option.is_positional() == positional) Write(option, out);
    }
  }
}

}  // namespace

std::string ManPage(const Command& program, const std::string& version) {
  std::ostringstream out;
  out << ".TH " << Upper(program.name) << " 1 \"\" \"tied " << version << "\" \"User Commands\"\n"
      << ".SH NAME\n"
      << Escape(program.name + " - ") << Escape(program.description) << '\n'
      << ".SH SYNOPSIS\n"
      << Bold(program.name) << Usage(program) << '\n';
  for (const Command& command : program.commands) {
    out << ".br\n" << Bold(program.name + " " + command.name) << Usage(command) << '\n';
  }
  out << ".SH OPTIONS\n";
  WriteOptions(program, out);
  if (!program.commands.empty()) out << ".SH COMMANDS\n";
  for (const Command& command : program.commands) {
    out << ".SS " << Bold(program.name + " " + command.name) << Usage(command) << '\n'
        << Escape(command.description) << '\n';
    WriteOptions(command, out);
  }
  // "Exit status: 0 for success …"
  const size_t colon = program.footer.find(": ");
  if (colon != std::string::npos) {
    out << ".SH " << Upper(program.footer.substr(0, colon)) << '\n' << Escape(program.footer.substr(colon + 2)) << '\n';
  }
  return out.str();
}

}  // namespace tied::generate
