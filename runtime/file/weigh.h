// Bounds what reading a header costs.
#ifndef TIED_RUNTIME_FILE_WEIGH_H_
#define TIED_RUNTIME_FILE_WEIGH_H_

#include <cstdint>

#include "runtime/file/status.h"
#include "tied_generated.h"

namespace tied::runtime {

// Checks the counts and lengths of everything in a header. Parts of a flatbuffer may be shared; a header whose parts,
// counted as often as they are referenced, exceed its length is refused, so that later passes over all parts take time
// and memory in proportion to its length.
Status CheckWeight(const format::Header& header, uint64_t header_length, const char* name);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_WEIGH_H_
