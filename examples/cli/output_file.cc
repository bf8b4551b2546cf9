#include "examples/cli/output_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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
    if (!file_) Fail(path, std::string("cannot be written: ") + std::strerror(errno));
    return;
  }
  OpenTemporary();
}

void OutputFile::OpenTemporary() {
  std::string name = path_ + ".XXXXXX";
  const int fd = mkstemp(name.data());
  if (fd < 0) Fail(path_, std::string("cannot be written: ") + std::strerror(errno));
  temporary_ = name;
  // mkstemp makes private files; the result should be as readable as any other file.
  const int status = fchmod(fd, 0666 & ~CurrentUmask());
  close(fd);
  file_.open(temporary_, std::ios::binary);
  if (status != 0 || !file_) {
    unlink(temporary_.c_str());
    Fail(path_, "cannot be written");
  }
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, std::string())),
      file_(std::move(other.file_)),
      standard_output_(other.standard_output_) {}

std::ostream& OutputFile::stream() { return standard_output_ ? std::cout : file_; }

void OutputFile::Finish() {
  stream().flush();
  if (!stream()) Fail(standard_output_ ? "standard output" : path_, "cannot be written");
  if (!standard_output_) {
    file_.close();
    if (!file_) Fail(path_, "cannot be written");
  }
}

void OutputFile::Commit() {
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Fail(path_, std::string("cannot be written: ") + std::strerror(errno));
  }
  temporary_.clear();
}

}  // namespace tied::cli
