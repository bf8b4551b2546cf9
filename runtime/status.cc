#include "runtime/status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tied::runtime {

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
  std::vsnprintf(status.error_.message, sizeof status.error_.message, format, values);
  va_end(values);
  return status;
}

}  // namespace tied::runtime
