// Names of a stranger's model, for a terminal.
#ifndef TIED_CONVERTER_PRINTABLE_H_
#define TIED_CONVERTER_PRINTABLE_H_

#include <algorithm>
#include <string>

namespace tied::converter {

// `text` with '?' in the place of control characters, which would command the terminal.
inline std::string Printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return text;
}

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PRINTABLE_H_
