#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>

#include "base/error.h"

namespace tied::converter {

namespace {

[[noreturn]] void Fail(const std::string& path, const char* action) {
  throw ConvertError(path + ": cannot " + action + ": " + std::strerror(errno));
}

// Calls again what a signal has interrupted.
template <class Call>
auto Retry(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
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

// The files that have a temporary name, for the signal handler. Changed with the signals blocked.
constexpr size_t kMostNames = 64;
const char* g_temporary_names[kMostNames];

void RemoveAndDie(int signal) {
  for (const char* name : g_temporary_names) {
    if (name != nullptr) unlink(name);
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void SetHandlers(void (*from)(int), void (*to)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) {
    // One that is ignored, as under nohup, stays so.
    const auto before = std::signal(signal, to);
    if (before != from) std::signal(signal, before);
  }
}

bool AnyTemporaryNames() {
  return std::any_of(std::begin(g_temporary_names), std::end(g_temporary_names), [](auto* name) { return name; });
}

void RemoveOnSignal(const char* name) {
  if (!AnyTemporaryNames()) SetHandlers(SIG_DFL, RemoveAndDie);
  for (const char*& slot : g_temporary_names) {
    if (slot == nullptr) {
      slot = name;
      return;
    }
  }
}

void KeepOnSignal(const char* name) {
  std::replace(std::begin(g_temporary_names), std::end(g_temporary_names), name, static_cast<const char*>(nullptr));
  if (!AnyTemporaryNames()) SetHandlers(RemoveAndDie, SIG_DFL);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Where the name leads to: what a link points to is replaced, not the link.
std::string Target(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  if (error) return path;
  if (!std::filesystem::is_regular_file(target, error)) throw ConvertError(path + ": is there, and not a regular file");
  return target.string();
}

// Calls make(name) with names beside `path` until one is not taken. Its result.
template <class Make>
int MakeBeside(const std::string& path, std::string* name, const Make& make) {
  for (int i = 0;; ++i) {
    *name = path + "." + std::to_string(getpid()) + "." + std::to_string(i);
    const int result = Retry([&] { return make(name->c_str()); });
    if (result >= 0) return result;
    if (errno == EEXIST) continue;
    name->clear();
    return result;
  }
}

// The name by which an open file is reached that has none.
std::string ProcessPath(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

// -1 where the file system has no files without a name, or there is no /proc to give them one.
int OpenNameless(const std::string& folder) {
  const int descriptor = Retry([&] { return open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666); });
  if (descriptor < 0 || access(ProcessPath(descriptor).c_str(), F_OK) == 0) return descriptor;
  close(descriptor);
  return -1;
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  descriptor_ = Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
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
    const ssize_t done = Retry([&] { return pread(descriptor_, to, length, static_cast<off_t>(offset)); });
    if (done < 0) Fail(path_, "read");
    if (done == 0) throw ConvertError(path_ + ": ends at byte " + std::to_string(offset) + ", more was expected");
    to += done;
    offset += static_cast<uint64_t>(done);
    length -= static_cast<size_t>(done);
  }
}

OutputFile::OutputFile(const std::string& path) : path_(Target(path)), descriptor_(OpenNameless(FolderOf(path_))) {
  if (descriptor_ >= 0) return;
  const SignalsBlocked blocked;  // from before the file exists until the handler knows its name
  descriptor_ = MakeBeside(path_, &temporary_path_,
                           [](const char* name) { return open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  if (descriptor_ < 0) Fail(path_, "create");
  RemoveOnSignal(temporary_path_.c_str());
}

OutputFile::~OutputFile() {
  close(descriptor_);
  if (temporary_path_.empty()) return;
  const SignalsBlocked blocked;
  unlink(temporary_path_.c_str());
  KeepOnSignal(temporary_path_.c_str());
}

void OutputFile::WriteAt(uint64_t offset, const void* data, size_t length) {
  const auto* from = static_cast<const char*>(data);
  while (length > 0) {
    const ssize_t done = Retry([&] { return pwrite(descriptor_, from, length, static_cast<off_t>(offset)); });
    if (done < 0) Fail(path_, "write");
    from += done;
    offset += static_cast<uint64_t>(done);
    length -= static_cast<size_t>(done);
  }
}

void OutputFile::Sync() {
  if (Retry([&] { return fsync(descriptor_); }) != 0) Fail(path_, "sync");
}

void OutputFile::Commit() {
  Sync();
  const std::string path = FolderOf(path_);
  Name();
  // Nothing throws from here on.
  const int folder = Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder < 0) return;
  // The data is safe already; a file system that cannot sync a folder is not a failure.
  (void)fsync(folder);
  close(folder);
}

// A name that is free is given at once, one that is taken by way of a second name: linkat() replaces nothing.
void OutputFile::Name() {
  const SignalsBlocked blocked;
  const bool nameless = temporary_path_.empty();
  const std::string source = ProcessPath(descriptor_);
  const auto link = [&](const char* name) {
    return linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW);
  };
  if (nameless) {
    if (Retry([&] { return link(path_.c_str()); }) == 0) return;
    if (errno != EEXIST || MakeBeside(path_, &temporary_path_, link) != 0) Fail(path_, "give a file the name");
    RemoveOnSignal(temporary_path_.c_str());
  }
  if (std::rename(temporary_path_.c_str(), path_.c_str()) != 0) Fail(path_, "rename to");
  KeepOnSignal(temporary_path_.c_str());
  temporary_path_.clear();
}

void RefuseInputs(const std::string& output, const std::set<std::string>& inputs) {
  for (const std::string& input : inputs) {
    std::error_code ignored;
    if (std::filesystem::equivalent(input, output, ignored)) throw ConvertError(output + ": is the input itself");
  }
}

}  // namespace tied::converter
