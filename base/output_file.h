// A file that appears whole or not at all, with errors as exceptions.
#ifndef TIED_BASE_OUTPUT_FILE_H_
#define TIED_BASE_OUTPUT_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

namespace tied {

// A new file that becomes visible only when it is complete. Until Commit() it has no name, so that nothing is left
// behind however the process ends. A file system without such files (NFS, FAT) holds it as PATH.PID.NUMBER, which the
// destructor, SIGHUP, SIGINT and SIGTERM remove; SIGKILL and a power cut leave it there. While it replaces another file
// it has such a name for a moment, and is whole.
//
// A link at the path is followed, also one whose target does not exist yet. A file that is replaced passes its
// permissions on. Nothing else than a regular file is ever replaced.
class OutputFile {
 public:
  // Whether pipes and character devices, and standard output as "-", are written to directly. Write() alone works on
  // those; Sync() and Commit() do nothing.
  enum class Streams { kRefused, kWritten };

  // Throws CommandError if the file cannot be made, or for what is there and is not taken.
  explicit OutputFile(const std::string& path, Streams streams = Streams::kRefused);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void WriteAt(uint64_t offset, const void* data, size_t length);

  // Writes behind everything that was written before.
  void Write(const void* data, size_t length);

  // Writes to the disk. Of several files that belong together, all are synced before the first is committed: then only
  // the folder can still fail.
  void Sync();

  // Syncs, gives the file its name (replacing a file of that name) and syncs the folder.
  void Commit();

  int descriptor() const { return descriptor_; }

 private:
  OutputFile() = default;

  void OpenStandardOutput();
  void OpenStream();
  void OpenFile(const mode_t* mode);
  void MoveDescriptor();
  void Name();

  std::string path_;            // without links
  std::string temporary_path_;  // empty while it has no name
  int descriptor_ = -1;
  uint64_t end_ = 0;
  bool is_stream_ = false;
};

// Throws CommandError if the file `output` is one of the inputs, under whatever names.
void RefuseInputs(const std::string& output, const std::set<std::string>& inputs);

}  // namespace tied

#endif  // TIED_BASE_OUTPUT_FILE_H_
