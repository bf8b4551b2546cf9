// Shared by the two files that implement tied.h.
#ifndef TIED_RUNTIME_API_C_ABI_H_
#define TIED_RUNTIME_API_C_ABI_H_

#include <cstring>

#include "runtime/api/session.h"
#include "runtime/file/model.h"
#include "runtime/file/status.h"
#include "tied/tied.h"

namespace tied::runtime {

inline tied_status Report(const Status& status, tied_error* error) {
  if (!status.ok() && error != nullptr) {
    error->status = status.code();
    std::memcpy(error->message, status.message(), sizeof error->message);
  }
  return status.code();
}

inline Model* Unwrap(tied_model* model) { return reinterpret_cast<Model*>(model); }
inline const Model* Unwrap(const tied_model* model) { return reinterpret_cast<const Model*>(model); }
inline Session* Unwrap(tied_session* session) { return reinterpret_cast<Session*>(session); }

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_C_ABI_H_
