#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/retry.h"
#include "base/temporary_names.h"

namespace tied {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(const std::string& path, const char* action) {
  throw CommandError(path + ": cannot " + action + ": " + std::strerror(errno));
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Calls make(name) with temporary names beside `path` until one is free, and returns its result.
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

// A path to an open file without a name.
std::string ProcessPath(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

// Returns -1 if the file system does not support unnamed files, or if there is no /proc to name them.
int OpenNameless(const std::string& folder, mode_t mode) {
  const int descriptor = Retry([&] { return open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode); });
  if (descriptor < 0 || access(ProcessPath(descriptor).c_str(), F_OK) == 0) return descriptor;
  close(descriptor);
  return -1;
}

bool IsSameFile(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool IsStandardOutput(const struct stat& info) {
  struct stat standard_output;
  return fstat(STDOUT_FILENO, &standard_output) == 0 && IsSameFile(info, standard_output);
}

// The target of a link that does not exist yet.
std::string FollowLinks(const std::string& path) {
  std::error_code error;
  fs::path target = path;
  constexpr int kMostLinks = 40;  // as many as the kernel follows
  for (int i = 0; i < kMostLinks && fs::is_symlink(target, error); ++i) {
    target = target.parent_path() / fs::read_symlink(target, error);
  }
  return target.string();
}

// The name of the regular file at `path`, with links followed.
std::string NameOf(const std::string& path, const struct stat& info) {
  std::error_code error;
  std::string name = fs::canonical(path, error).string();
  struct stat named;
  // A link in /proc may point to an open file whose name was removed.
  if (error || stat(name.c_str(), &named) != 0 || !IsSameFile(info, named)) {
    throw CommandError(path + ": is a link to a file without a name");
  }
  return name;
}

}  // namespace

OutputFile::OutputFile(const std::string& path, Streams streams) : OutputFile() {
  const bool takes_streams = streams == Streams::kWritten;
  path_ = path;
  struct stat info = {};
  const bool is_standard_output = path == "-" || (stat(path.c_str(), &info) == 0 && IsStandardOutput(info));
  if (is_standard_output) {
    if (!takes_streams) throw CommandError(path + ": this file cannot be written to standard output; name a file");
    OpenStandardOutput();
  } else if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) Fail(path, "create");
    path_ = FollowLinks(path);
    OpenFile(nullptr);
  } else if (takes_streams && (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode))) {
    OpenStream();
  } else if (S_ISREG(info.st_mode)) {
    path_ = NameOf(path, info);
    const mode_t mode = info.st_mode & 0777u;
    OpenFile(&mode);
  } else {
    throw CommandError(path + (S_ISDIR(info.st_mode) ? ": is a directory" : ": is not a regular file"));
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0 && descriptor_ != STDOUT_FILENO) close(descriptor_);
  if (temporary_path_.empty()) return;
  const SignalsBlocked blocked;
  unlink(temporary_path_.c_str());
  KeepOnSignal(temporary_path_.c_str());
}

void OutputFile::OpenStandardOutput() {
  path_ = "standard output";
  descriptor_ = STDOUT_FILENO;
  is_stream_ = true;
}

void OutputFile::OpenStream() {
  descriptor_ = Retry([&] { return open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY); });
  if (descriptor_ < 0) Fail(path_, "open");
  is_stream_ = true;
}

// mode: permissions of the file to replace; null if there is none.
void OutputFile::OpenFile(const mode_t* mode) {
  const mode_t first_mode = mode == nullptr ? 0666 : 0600;
  descriptor_ = OpenNameless(FolderOf(path_), first_mode);
  if (descriptor_ < 0) {
    const SignalsBlocked blocked;  // until the signal handler knows the name of the new file
    descriptor_ = MakeBeside(path_, &temporary_path_, [&](const char* name) {
      return open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, first_mode);
    });
    if (descriptor_ < 0) Fail(path_, "create");
    RemoveOnSignal(temporary_path_.c_str());
  }
  if (descriptor_ <= STDERR_FILENO) MoveDescriptor();
  if (mode == nullptr) return;
  struct stat info;
  const bool same = fstat(descriptor_, &info) == 0 && (info.st_mode & 0777u) == *mode;
  if (!same && fchmod(descriptor_, *mode) != 0) Fail(path_, "keep the permissions of");
}

// If a standard stream is closed, the file may get its descriptor, and messages would be written into the file.
void OutputFile::MoveDescriptor() {
  const int moved = fcntl(descriptor_, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (moved < 0) Fail(path_, "create");
  close(descriptor_);
  descriptor_ = moved;
}

void OutputFile::WriteAt(uint64_t offset, const void* data, size_t length) {
  const auto* from = static_cast<const char*>(data);
  while (length > 0) {
    const ssize_t done = Retry([&] {
      return is_stream_ ? write(descriptor_, from, length)
                        : pwrite(descriptor_, from, length, static_cast<off_t>(offset));
    });
    if (done < 0) Fail(path_, "write");
    from += done;
    offset += static_cast<uint64_t>(done);
    length -= static_cast<size_t>(done);
  }
}

void OutputFile::Write(const void* data, size_t length) {
  WriteAt(end_, data, length);
  end_ += length;
}

void OutputFile::StartSync(uint64_t offset, size_t length) {
  // A file system that cannot do this loses nothing.
  if (!is_stream_) {
    (void)sync_file_range(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
  }
}

void OutputFile::Sync() {
  if (!is_stream_ && Retry([&] { return fsync(descriptor_); }) != 0) Fail(path_, "sync");
}

void OutputFile::Commit() {
  if (is_stream_) return;
  Sync();
  const std::string path = FolderOf(path_);
  Name();
  // Nothing throws from here on.
  const int folder = Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder < 0) return;
  // The data is already on disk; ignore file systems that cannot sync a folder.
  (void)fsync(folder);
  close(folder);
}

// A free name is linked directly. To replace a file, a temporary name is linked and renamed: linkat() replaces nothing.
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
    if (fs::equivalent(input, output, ignored))
      throw CommandError(output + ": is the input itself; write to a different file");
  }
}

}  // namespace tied
