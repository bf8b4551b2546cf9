// Reads, copies and validates the header of a .tied file (schema/FORMAT.md).
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

// A validated header. It is a copy, so that a later change of the file cannot invalidate it.
class Header {
 public:
  // data, size: the whole file. name: file name for messages.
  static Status Read(const unsigned char* data, size_t size, const char* name, Header* header);

  const format::Header& operator*() const { return *root_; }
  const format::Header* operator->() const { return root_; }
  uint32_t format_version() const { return format_version_; }

 private:
  std::unique_ptr<uint64_t[]> bytes_;  // aligned for its 64-bit fields
  const format::Header* root_ = nullptr;
  uint32_t format_version_ = 0;
};

// Checks all rules of FORMAT.md that the flatbuffer verifier does not.
Status ValidateHeader(const format::Header& header, uint64_t header_end, uint64_t file_size, const char* name);

// Whether the shape of a Constant follows from an input.
bool ReadsDims(const format::Op& op);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_HEADER_H_
