// Calls of the operating system.
#ifndef TIED_RUNTIME_FILE_SYSTEM_H_
#define TIED_RUNTIME_FILE_SYSTEM_H_

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "runtime/file/status.h"

namespace tied::runtime {

// "NAME: cannot ACTION: " and what the errno means.
inline Status SystemError(const char* action, const char* name, int error) {
  tied_status code = TIED_IO_ERROR;
  if (error == ENOENT || error == ENOTDIR) code = TIED_NOT_FOUND;
  if (error == EACCES || error == EPERM) code = TIED_PERMISSION_DENIED;
  if (error == ENOMEM) code = TIED_OUT_OF_MEMORY;
  return Status::Error(code, "%s: cannot %s: %s", name, action, std::strerror(error));
}

// Repeats a call that a signal interrupts.
template <class Call>
auto Retry(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

inline size_t PageSize() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_SYSTEM_H_
