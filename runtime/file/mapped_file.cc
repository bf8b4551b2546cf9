#include "runtime/file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <utility>

#include "runtime/file/resident.h"
#include "runtime/file/system.h"
#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

Status DoesNotFit(uint64_t length, const char* name) {
  return Status::Error(TIED_OUT_OF_MEMORY, "%s: %" PRIu64 " bytes do not fit in the address space", name, length);
}

}  // namespace

MappedFile::~MappedFile() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_size_);
  if (descriptor_ >= 0) close(descriptor_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_size_, other.mapping_size_);
  std::swap(is_shared_, other.is_shared_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(file_offset_, other.file_offset_);
  return *this;
}

Status MappedFile::Open(const char* path, bool copy, MappedFile* file) {
  // Without O_NONBLOCK, opening a FIFO would block before it can be refused.
  const int descriptor = Retry([&] { return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor < 0) return SystemError("open", path, errno);
  const Status status = OpenDescriptor(descriptor, 0, 0, copy, path, file);
  close(descriptor);
  return status;
}

Status MappedFile::OpenDescriptor(int descriptor, uint64_t offset, uint64_t length, bool copy, const char* name,
                                  MappedFile* file) {
  struct stat info;
  if (fstat(descriptor, &info) != 0) return SystemError("get its status", name, errno);
  if (S_ISDIR(info.st_mode)) return Status::Error(TIED_IO_ERROR, "%s: is a directory, not a .tied file", name);
  if (!S_ISREG(info.st_mode)) return Status::Error(TIED_IO_ERROR, "%s: is not a regular file", name);
  const uint64_t file_size = static_cast<uint64_t>(info.st_size);
  if (offset % 4 != 0) {
    return Status::Error(TIED_INVALID_ARGUMENT, "%s: offset %" PRIu64 " is not a multiple of 4", name, offset);
  }
  if (length == 0) length = offset < file_size ? file_size - offset : 0;
  uint64_t end = 0;
  if (!CheckedAdd(offset, length, &end) || end > file_size) {
    return Status::Error(TIED_INVALID_ARGUMENT,
                         "%s: %" PRIu64 " bytes at offset %" PRIu64 " end after the file's %" PRIu64, name, length,
                         offset, file_size);
  }
  if (length == 0) return Status::Error(TIED_CORRUPT, "%s: is empty, not a .tied file", name);
  return copy ? Copy(descriptor, offset, length, name, file) : Map(descriptor, offset, length, name, file);
}

Status MappedFile::Map(int descriptor, uint64_t offset, uint64_t length, const char* name, MappedFile* file) {
  const uint64_t lead = offset % PageSize();
  MappedFile mapped;
  if (!CheckedAdd(lead, length, &mapped.mapping_size_)) return DoesNotFit(length, name);
  void* mapping =
      mmap(nullptr, mapped.mapping_size_, PROT_READ, MAP_SHARED, descriptor, static_cast<off_t>(offset - lead));
  if (mapping == MAP_FAILED) return SystemError("map", name, errno);
  mapped.mapping_ = mapping;
  mapped.data_ = static_cast<const unsigned char*>(mapping) + lead;
  mapped.size_ = static_cast<size_t>(length);
  mapped.is_shared_ = true;
  mapped.descriptor_ = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  mapped.file_offset_ = offset;
  *file = std::move(mapped);
  return Status();
}

Status MappedFile::Copy(int descriptor, uint64_t offset, uint64_t length, const char* name, MappedFile* file) {
  MappedFile copied;
  if (!CheckedCast(length, &copied.size_)) return DoesNotFit(length, name);
  copied.mapping_size_ = copied.size_;
  void* memory = mmap(nullptr, copied.size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return SystemError("allocate memory", name, errno);
  copied.mapping_ = memory;
  copied.data_ = static_cast<const unsigned char*>(memory);
  for (size_t done = 0; done < copied.size_;) {
    const ssize_t got = Retry([&] {
      return pread(descriptor, static_cast<unsigned char*>(memory) + done, copied.size_ - done,
                   static_cast<off_t>(offset + done));
    });
    if (got < 0) return SystemError("read", name, errno);
    if (got == 0) return Status::Error(TIED_IO_ERROR, "%s: was truncated while it was being read", name);
    done += static_cast<size_t>(got);
  }
  (void)mprotect(memory, copied.size_, PROT_READ);
  *file = std::move(copied);
  return Status();
}

MappedFile MappedFile::FromMemory(const void* data, size_t length) {
  MappedFile file;
  file.data_ = static_cast<const unsigned char*>(data);
  file.size_ = length;
  return file;
}

int MappedFile::Advise(size_t offset, size_t length, int advice) const {
  if (!is_shared_) return 0;
  const size_t lead = static_cast<size_t>(data_ - static_cast<const unsigned char*>(mapping_));
  const size_t begin = (lead + offset) / PageSize() * PageSize();
  return madvise(static_cast<unsigned char*>(mapping_) + begin, lead + offset + length - begin, advice);
}

// Errors are ignored: this is only advice, and a kernel without it works too.
void MappedFile::ExpectRandomReads(size_t offset, size_t length) const { (void)Advise(offset, length, MADV_RANDOM); }

void MappedFile::ExpectWholeReads(size_t offset, size_t length) const {
  // Not MADV_SEQUENTIAL: it lets the kernel drop pages once they are read, and the next token reads them again.
  (void)Advise(offset, length, MADV_NORMAL);
  (void)Advise(offset, length, MADV_WILLNEED);
}

Status MappedFile::ReadIntoCache(size_t offset, size_t length, size_t ahead, unsigned char* buffer,
                                 size_t buffer_size) const {
  if (!is_shared_) return Status();
  if (descriptor_ < 0) {
    ExpectWholeReads(offset, length + ahead);
    const volatile unsigned char* bytes = data_ + offset;
    for (size_t i = 0; i < length; i += PageSize()) (void)bytes[i];
    return Status();
  }
  (void)posix_fadvise(descriptor_, static_cast<off_t>(file_offset_ + offset), static_cast<off_t>(length + ahead),
                      POSIX_FADV_WILLNEED);
  for (size_t done = 0; done < length;) {
    const ssize_t got = Retry([&] {
      return pread(descriptor_, buffer, std::min(length - done, buffer_size),
                   static_cast<off_t>(file_offset_ + offset + done));
    });
    if (got < 0) return SystemError("read", "model", errno);
    if (got == 0) return Status::Error(TIED_IO_ERROR, "model: was truncated while it was open");
    done += static_cast<size_t>(got);
  }
  return Status();
}

Status MappedFile::ReleasePages(size_t offset, size_t length) const {
  if (Advise(offset, length, MADV_DONTNEED) != 0) return SystemError("release its pages", "model", errno);
  return Status();
}

Status MappedFile::CountResident(uint64_t* bytes) const { return runtime::CountResident(data_, size_, bytes); }

}  // namespace tied::runtime
