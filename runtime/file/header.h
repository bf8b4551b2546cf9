// The header of a .tied file: found, copied and checked in full (schema/FORMAT.md).
#ifndef TIED_RUNTIME_FILE_HEADER_H_
#define TIED_RUNTIME_FILE_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/file/status.h"

namespace tied::format {
struct Header;
struct Op;
}  // namespace tied::format

namespace tied::runtime {

// A checked header. It is a copy: a file that is changed later cannot change what was checked.
class Header {
 public:
  // `data`, `size`: the whole file. `name`: what messages call it.
  static Status Read(const unsigned char* data, size_t size, const char* name, Header* header);

  const format::Header& operator*() const { return *root_; }
  const format::Header* operator->() const { return root_; }
  uint32_t format_version() const { return format_version_; }

 private:
  std::unique_ptr<uint64_t[]> bytes_;  // aligned for the 64-bit fields in it
  const format::Header* root_ = nullptr;
  uint32_t format_version_ = 0;
};

// Checks everything in a verified flatbuffer that FORMAT.md asks for beyond the flatbuffer itself.
Status ValidateHeader(const format::Header& header, uint64_t header_end, uint64_t file_size, const char* name);

// Whether the shape of a Constant follows from an input.
bool ReadsDims(const format::Op& op);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_HEADER_H_
