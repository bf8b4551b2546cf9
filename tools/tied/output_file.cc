#include "tools/tied/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <utility>

namespace tied::cli {

namespace {

[[noreturn]] void Fail(const std::string& path, const std::string& message) {
  throw std::runtime_error(path + ": " + message);
}

[[noreturn]] void FailToWrite(const std::string& path) {
  Fail(path, errno == 0 ? "cannot be written" : std::string("cannot be written: ") + std::strerror(errno));
}

// Calls again what a signal has interrupted.
template <class Call>
int Retry(const Call& call) {
  int result = call();
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
    sigprocmask(SIG_BLOCK, &signals, &before_);
  }
  ~SignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

std::string ProcessPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

mode_t CurrentUmask() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask;
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
  if (path == "-") {
    if (isatty(STDOUT_FILENO)) throw std::runtime_error("a .npy file is not written to a terminal; redirect it");
    standard_output_ = true;
    return;
  }
  std::error_code error;
  // The name may be a link: what it leads to is replaced, not the link.
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  if (!error) path_ = target.string();
  const std::filesystem::file_status status = std::filesystem::status(path_, error);
  if (std::filesystem::is_directory(status)) Fail(path, "is a directory");
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    file_.open(path_, std::ios::binary);
    if (!file_) FailToWrite(path);
    return;
  }
  OpenTemporary();
}

void OutputFile::OpenTemporary() {
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  nameless_ =
      Retry([&] { return open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666); });
  if (nameless_ >= 0) {
    file_.open(ProcessPath(nameless_), std::ios::binary);
    if (file_) return;
    close(std::exchange(nameless_, -1));
  }
  std::string name;
  const int fd = Retry([&] {
    name = path_ + ".XXXXXX";
    return mkstemp(name.data());
  });
  if (fd < 0) FailToWrite(path_);
  temporary_ = name;
  // mkstemp makes private files; the result should be as readable as any other file.
  const int status = fchmod(fd, 0666 & ~CurrentUmask());
  close(fd);
  file_.open(temporary_, std::ios::binary);
  if (status != 0 || !file_) {
    const int error = errno;
    unlink(temporary_.c_str());
    errno = error;
    FailToWrite(path_);
  }
}

OutputFile::~OutputFile() {
  if (nameless_ >= 0) close(nameless_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, std::string())),
      nameless_(std::exchange(other.nameless_, -1)),
      file_(std::move(other.file_)),
      standard_output_(other.standard_output_) {}

std::ostream& OutputFile::stream() { return standard_output_ ? std::cout : file_; }

void OutputFile::Finish() {
  stream().flush();
  if (!stream()) FailToWrite(standard_output_ ? "standard output" : path_);
  if (!standard_output_) {
    file_.close();
    if (!file_) FailToWrite(path_);
  }
}

bool OutputFile::LinkTo(const std::string& name) const {
  const std::string file = ProcessPath(nameless_);
  return Retry([&] { return linkat(AT_FDCWD, file.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW); }) == 0;
}

// A name that is taken is given by way of a second one: linkat() replaces nothing.
void OutputFile::Commit() {
  const SignalsBlocked blocked;
  if (nameless_ >= 0) {
    if (LinkTo(path_)) return;
    std::string name;
    for (int i = 0; errno == EEXIST && temporary_.empty(); ++i) {
      name = path_ + "." + std::to_string(getpid()) + "." + std::to_string(i);
      if (LinkTo(name)) temporary_ = name;
    }
    if (temporary_.empty()) FailToWrite(path_);
  }
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) FailToWrite(path_);
  temporary_.clear();
}

}  // namespace tied::cli
