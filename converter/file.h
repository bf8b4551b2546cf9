// Files by descriptor, with errors as exceptions.
#ifndef TIED_CONVERTER_FILE_H_
#define TIED_CONVERTER_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tied::converter {

// A file open for reading.
class InputFile {
 public:
  // Throws ConvertError for anything but a regular file that can be read.
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

// A new file that becomes visible only when it is complete: it is written beside `path` under another name, and
// removed again unless Commit() is reached.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void WriteAt(uint64_t offset, const void* data, size_t length);

  // Syncs, renames to `path` (replacing a file of that name) and syncs the folder.
  void Commit();

  // The name it has until Commit().
  const std::string& temporary_path() const { return temporary_path_; }

 private:
  std::string path_;
  std::string temporary_path_;
  int descriptor_;
  bool committed_ = false;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_FILE_H_
