#include "base/printable.h"

#include <algorithm>
#include <cstddef>

namespace tied {

namespace {

// The length of the UTF-8 character at the start of `text`; 0 if it is invalid.
size_t Utf8Bytes(const char* text, size_t size) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t bytes = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (bytes > size) return 0;
  // The second byte shows an overlong form, half of a UTF-16 pair, or a code point above the last one.
  const auto second = static_cast<unsigned char>(bytes > 1 ? text[1] : '\0');
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
      (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  for (size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0u) != 0x80u) return 0;
  }
  return bytes;
}

}  // namespace

std::string Printable(std::string text) {
  size_t next = 0;
  for (size_t i = 0; i < text.size(); i = next) {
    const size_t bytes = Utf8Bytes(&text[i], text.size() - i);
    next = i + std::max<size_t>(bytes, 1);
    const auto first = static_cast<unsigned char>(text[i]);
    const bool c1 = bytes == 2 && first == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (bytes == 0 || first < 0x20 || first == 0x7F || c1) std::fill(&text[i], &text[i] + (next - i), '?');
  }
  return text;
}

}  // namespace tied
