#include "base/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/retry.h"

namespace tied {

namespace {

[[noreturn]] void Fail(const std::string& path, const char* action) {
  throw CommandError(path + ": cannot " + action + ": " + std::strerror(errno));
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  descriptor_ = Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor_ < 0) Fail(path, "open");
  struct stat info;
  const bool regular = fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode);
  if (!regular) {
    close(descriptor_);
    throw CommandError(path + ": is not a regular file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() { close(descriptor_); }

void InputFile::ReadAt(uint64_t offset, void* data, size_t length) const {
  auto* to = static_cast<char*>(data);
  while (length > 0) {
    const ssize_t done = Retry([&] { return pread(descriptor_, to, length, static_cast<off_t>(offset)); });
    if (done < 0) Fail(path_, ("read at byte " + std::to_string(offset)).c_str());
    if (done == 0) throw CommandError(path_ + ": ends at byte " + std::to_string(offset) + "; expected more");
    to += done;
    offset += static_cast<uint64_t>(done);
    length -= static_cast<size_t>(done);
  }
}

}  // namespace tied
