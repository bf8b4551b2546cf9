// Writes a file that appears complete or not at all. Errors are exceptions.
#ifndef TIED_BASE_OUTPUT_FILE_H_
#define TIED_BASE_OUTPUT_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

namespace tied {

// A new file that becomes visible only when it is complete. Until Commit() it has no name, so that nothing is left
// however the process ends. On file systems without unnamed files (NFS, FAT) it is named PATH.PID.NUMBER, which the
// destructor, SIGHUP, SIGINT and SIGTERM remove; SIGKILL and a power cut leave it. To replace another file, the
// complete file also gets such a name for a moment.
//
// A link at the path is followed, even if its target does not exist yet. A new file takes the permissions of the file
// that it replaces. Only regular files are replaced.
class OutputFile {
 public:
  // kWritten: write directly to pipes and character devices, and to standard output as "-". For those, Sync() and
  // Commit() do nothing.
  enum class Streams { kRefused, kWritten };

  // Throws CommandError if the file cannot be created, or if something that must not be replaced exists at `path`.
  explicit OutputFile(const std::string& path, Streams streams = Streams::kRefused);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void WriteAt(uint64_t offset, const void* data, size_t length);

  // Appends to what was written before.
  void Write(const void* data, size_t length);

  // Begins to flush a range that was written, so that Sync() has less to wait for.
  void StartSync(uint64_t offset, size_t length);

  // Flushes to disk. Sync all files that belong together before you commit the first one: then only naming them can
  // fail.
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

// Throws CommandError if `output` is the same file as one of the inputs, even under a different name.
void RefuseInputs(const std::string& output, const std::set<std::string>& inputs);

}  // namespace tied

#endif  // TIED_BASE_OUTPUT_FILE_H_
