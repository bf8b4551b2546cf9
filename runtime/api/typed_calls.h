// The typed calls of tied.h: check arguments and call the session. tied.h documents them.
#ifndef TIED_RUNTIME_API_TYPED_CALLS_H_
#define TIED_RUNTIME_API_TYPED_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "runtime/api/session.h"
#include "runtime/compute/row_filter.h"
#include "runtime/file/status.h"
#include "tied/tied.h"

namespace tied::runtime {

inline Status NullArgument(const char* what) { return Status::Error(TIED_INVALID_ARGUMENT, "%s is null", what); }

// Copies the caller's options over the defaults. If the caller's struct is older and shorter, the rest keep their
// defaults.
template <class Options>
Status ReadOptions(const Options* given, Options* options) {
  if (given == nullptr) return Status();
  if (given->struct_size < sizeof(size_t)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "struct_size is %zu; initialise the struct with its _INIT macro",
                         given->struct_size);
  }
  const size_t known = given->struct_size < sizeof *options ? given->struct_size : sizeof *options;
  std::memcpy(options, given, known);
  return Status();
}

Status Embed(Session& session, const int64_t* ids, size_t count, float* embeddings, size_t capacity);
Status Logits(Session& session, const float* hidden, size_t tokens, const RowFilter& filter, float* logits,
              size_t capacity);
Status LogitsOf(Session& session, const float* hidden, size_t tokens, const int64_t* row_ids, size_t row_count,
                float* logits, size_t capacity);
Status LogitsAllowed(Session& session, const float* hidden, size_t tokens, const uint8_t* allowed, size_t allowed_bytes,
                     float* logits, size_t capacity);
Status Topk(Session& session, const float* hidden, size_t tokens, size_t k, const tied_topk_options* given,
            const tied_topk_result& result);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_TYPED_CALLS_H_
