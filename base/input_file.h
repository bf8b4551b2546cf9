// A file open for reading. Errors are exceptions.
#ifndef TIED_BASE_INPUT_FILE_H_
#define TIED_BASE_INPUT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tied {

class InputFile {
 public:
  // Throws CommandError if the file is not a regular file or cannot be opened.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int descriptor() const { return descriptor_; }
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // Reads exactly `length` bytes at `offset`.
  void ReadAt(uint64_t offset, void* data, size_t length) const;

 private:
  std::string path_;
  int descriptor_;
  uint64_t size_ = 0;
};

}  // namespace tied

#endif  // TIED_BASE_INPUT_FILE_H_
