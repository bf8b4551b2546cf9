#include "runtime/file/status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tied::runtime {

namespace {

// Drops the last UTF-8 character, which may be incomplete because the text was truncated.
void DropLastCharacter(char* text) {
  size_t end = std::strlen(text);
  const auto continues = [&](size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; };
  while (end > 0 && continues(end - 1)) --end;
  if (end > 0) text[end - 1] = '\0';
}

}  // namespace

Status& Status::operator=(const Status& other) {
  error_.status = other.error_.status;
  if (!other.ok()) std::memcpy(error_.message, other.error_.message, sizeof error_.message);
  return *this;
}

Status Status::Error(tied_status code, const char* format, ...) {
  Status status;
  status.error_.status = code;
  std::va_list values;
  va_start(values, format);
  const int length = std::vsnprintf(status.error_.message, sizeof status.error_.message, format, values);
  va_end(values);
  if (length >= static_cast<int>(sizeof status.error_.message)) DropLastCharacter(status.error_.message);
  return status;
}

}  // namespace tied::runtime
