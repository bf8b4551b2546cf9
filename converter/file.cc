#include "converter/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "converter/error.h"

namespace tied::converter {

namespace {

[[noreturn]] void Fail(const std::string& path, const char* action) {
  throw ConvertError(path + ": cannot " + action + ": " + std::strerror(errno));
}

// The one file that is being written, for the signal handler: SIGINT and SIGTERM must not leave it behind.
char g_temporary_path[4096];

void RemoveAndDie(int signal) {
  unlink(g_temporary_path);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void RemoveOnSignal(const std::string& path) {
  if (path.size() >= sizeof g_temporary_path) return;
  std::memcpy(g_temporary_path, path.c_str(), path.size() + 1);
  std::signal(SIGINT, RemoveAndDie);
  std::signal(SIGTERM, RemoveAndDie);
}

class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

void StopRemovingOnSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) Fail(path, "open");
  struct stat info;
  const bool regular = fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode);
  if (!regular) {
    close(descriptor_);
    throw ConvertError(path + ": is not a regular file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() { close(descriptor_); }

void InputFile::ReadAt(uint64_t offset, void* data, size_t length) const {
  auto* to = static_cast<char*>(data);
  while (length > 0) {
    const ssize_t done = pread(descriptor_, to, length, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) Fail(path_, "read");
    if (done == 0) throw ConvertError(path_ + ": ends at byte " + std::to_string(offset) + ", more was expected");
    to += done;
    offset += static_cast<uint64_t>(done);
    length -= static_cast<size_t>(done);
  }
}

OutputFile::OutputFile(const std::string& path) : path_(path), temporary_path_(path + ".XXXXXX") {
  {
    const SignalsBlocked blocked;  // from before the file exists until the handler knows its name
    descriptor_ = mkostemp(temporary_path_.data(), O_CLOEXEC);
    if (descriptor_ < 0) Fail(temporary_path_, "create");
    RemoveOnSignal(temporary_path_);
  }
  // mkostemp makes files private; a model is as readable as other new files.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(descriptor_, 0666 & ~mask) != 0) Fail(temporary_path_, "set permissions of");
}

OutputFile::~OutputFile() {
  close(descriptor_);
  if (!committed_) unlink(temporary_path_.c_str());
  StopRemovingOnSignal();
}

void OutputFile::WriteAt(uint64_t offset, const void* data, size_t length) {
  const auto* from = static_cast<const char*>(data);
  while (length > 0) {
    const ssize_t done = pwrite(descriptor_, from, length, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) Fail(temporary_path_, "write");
    from += done;
    offset += static_cast<uint64_t>(done);
    length -= static_cast<size_t>(done);
  }
}

void OutputFile::Commit() {
  if (fsync(descriptor_) != 0) Fail(temporary_path_, "sync");
  if (std::rename(temporary_path_.c_str(), path_.c_str()) != 0) Fail(path_, "rename to");
  committed_ = true;
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  // The data is safe already; a file system that cannot sync a folder is not a failure.
  (void)fsync(descriptor);
  close(descriptor);
}

}  // namespace tied::converter
