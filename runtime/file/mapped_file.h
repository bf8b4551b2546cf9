// A read-only view of a .tied file: a shared mapping, a private copy, or the caller's memory.
#ifndef TIED_RUNTIME_FILE_MAPPED_FILE_H_
#define TIED_RUNTIME_FILE_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/file/status.h"

namespace tied::runtime {

class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // copy: read the file into private memory instead of mapping it.
  static Status Open(const char* path, bool copy, MappedFile* file);

  // Opens `length` bytes at `offset` of an open file; 0: up to its end. The offset need not be page-aligned.
  // name: file name for messages.
  static Status OpenDescriptor(int descriptor, uint64_t offset, uint64_t length, bool copy, const char* name,
                               MappedFile* file);

  // The memory must outlive the result.
  static MappedFile FromMemory(const void* data, size_t length);

  const unsigned char* data() const { return data_; }
  size_t size() const { return size_; }

  // For reading the mapped file without its mapping; -1 for memory and copies, or if no descriptor was left.
  int descriptor() const { return descriptor_; }
  // Of data() in it.
  uint64_t file_offset() const { return file_offset_; }

  // Advise the system about `length` bytes at `offset`, extended to whole pages. No effect on memory and copies.
  void ExpectRandomReads(size_t offset, size_t length) const;
  void ExpectWholeReads(size_t offset, size_t length) const;

  // Reads `length` bytes at `offset` into the page cache, and asks the system for the `ahead` bytes that follow. Maps
  // no pages, unless no descriptor was left. buffer: scratch. Does nothing for memory and copies.
  Status ReadIntoCache(size_t offset, size_t length, size_t ahead, unsigned char* buffer, size_t buffer_size) const;

  // Unmaps the pages of such a range from this process. The system may drop them and reads them again on their next
  // use.
  Status ReleasePages(size_t offset, size_t length) const;

  // Bytes of the file's pages that are mapped into this process now.
  Status CountResident(uint64_t* bytes) const;

 private:
  static Status Map(int descriptor, uint64_t offset, uint64_t length, const char* name, MappedFile* file);
  static Status Copy(int descriptor, uint64_t offset, uint64_t length, const char* name, MappedFile* file);
  int Advise(size_t offset, size_t length, int advice) const;

  const unsigned char* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;  // null for borrowed memory
  size_t mapping_size_ = 0;
  bool is_shared_ = false;  // a mapping of the file, whose pages the system can read again
  int descriptor_ = -1;
  uint64_t file_offset_ = 0;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_MAPPED_FILE_H_
