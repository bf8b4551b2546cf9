// Names of a stranger's model, for a terminal.
#ifndef TIED_BASE_PRINTABLE_H_
#define TIED_BASE_PRINTABLE_H_

#include <cstddef>
#include <string>

namespace tied::converter {

// `text` with '?' in the place of control characters, which would command the terminal: C1 too, in UTF-8 and alone.
inline std::string Printable(std::string text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char second = i + 1 < text.size() ? byte(i + 1) : 0xFF;
    // In two bytes, or in more than need be.
    const bool c1 = byte(i) == 0xC0 || byte(i) == 0xC1 || (byte(i) == 0xC2 && second < 0xA0) ||
                    (byte(i) == 0xE0 && second < 0xA0) || (byte(i) == 0xF0 && second < 0x90);
    if (c1 && i + 1 < text.size()) text[i++] = '?';
    const bool alone = byte(i) >= 0x80 && byte(i) < 0xA0 && (i == 0 || byte(i - 1) < 0x80);
    if (c1 || alone || byte(i) < 0x20 || byte(i) == 0x7F) text[i] = '?';
  }
  return text;
}

}  // namespace tied::converter

#endif  // TIED_BASE_PRINTABLE_H_
