// The result of an internal call: TIED_OK, or an error code with a message built where the error occurred.
#ifndef TIED_RUNTIME_FILE_STATUS_H_
#define TIED_RUNTIME_FILE_STATUS_H_

#include "tied/tied.h"

namespace tied::runtime {

// Allocates nothing, so that it can report that memory ran out. Copying an OK status copies only its code.
class [[nodiscard]] Status {
 public:
  Status() { error_.status = TIED_OK; }
  Status(const Status& other) { *this = other; }
  ~Status() = default;
  Status& operator=(const Status& other);

  // A printf format and its values; a message that is too long is truncated.
  __attribute__((format(printf, 2, 3))) static Status Error(tied_status code, const char* format, ...);

  bool ok() const { return error_.status == TIED_OK; }
  tied_status code() const { return error_.status; }
  const char* message() const { return ok() ? "" : error_.message; }

 private:
  tied_error error_;  // the message is set only if the status is not TIED_OK
};

}  // namespace tied::runtime

#define TIED_RETURN_IF_ERROR(expression)                                               \
  do {                                                                                 \
    if (::tied::runtime::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#endif  // TIED_RUNTIME_FILE_STATUS_H_
