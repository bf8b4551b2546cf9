// Reads a model into the page cache before it is used.
#ifndef TIED_RUNTIME_FILE_PREFETCH_H_
#define TIED_RUNTIME_FILE_PREFETCH_H_

#include "runtime/file/model.h"
#include "runtime/file/status.h"
#include "tied/tied.h"

namespace tied::runtime {

// everything: the whole file, not only what a top-k reads for each token. callback: null for none.
Status Prefetch(const Model& model, bool everything, tied_prefetch_callback callback, void* user);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_PREFETCH_H_
