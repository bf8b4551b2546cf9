// Counts the pages of a range of memory that are in this process.
#ifndef TIED_RUNTIME_FILE_RESIDENT_H_
#define TIED_RUNTIME_FILE_RESIDENT_H_

#include <cstddef>
#include <cstdint>

#include "runtime/file/status.h"

namespace tied::runtime {

// Sets *bytes to those of the pages from data to data + size that are resident.
Status CountResident(const void* data, size_t size, uint64_t* bytes);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_RESIDENT_H_
