// Files by descriptor, with errors as exceptions.
#ifndef TIED_BASE_FILE_H_
#define TIED_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <set>
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

// A new file that becomes visible only when it is complete. Until Commit() it has no name, so that whatever ends the
// process leaves nothing behind. A file system that has no such files (NFS, FAT) holds it as PATH.PID.NUMBER, which the
// destructor, SIGINT and SIGTERM remove; SIGKILL and a power cut leave it there. So they do, whole, in the moment in
// which it replaces another file.
class OutputFile {
 public:
  // A link at `path` is followed. Throws ConvertError for what is there and is not a regular file, too.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void WriteAt(uint64_t offset, const void* data, size_t length);

  // Writes to the disk. Of several files that belong together, all are synced before the first is committed: what is
  // left to fail then is the folder.
  void Sync();

  // Syncs, gives the file its name (replacing a file of that name) and syncs the folder.
  void Commit();

  int descriptor() const { return descriptor_; }

 private:
  void Name();

  std::string path_;
  std::string temporary_path_;  // empty while it has no name
  int descriptor_;
};

// Throws ConvertError if the file `output` is one of the inputs, under whatever names.
void RefuseInputs(const std::string& output, const std::set<std::string>& inputs);

}  // namespace tied::converter

#endif  // TIED_BASE_FILE_H_
