// A file that appears whole or not at all.
#ifndef TIED_TOOLS_TIED_OUTPUT_FILE_H_
#define TIED_TOOLS_TIED_OUTPUT_FILE_H_

#include <fstream>
#include <ostream>
#include <string>

namespace tied::cli {

// Writes to a file without a name, which Commit() gives it; destroyed or killed without it, nothing is left. Where the
// file system has no such files (NFS, FAT), it has a temporary name, and stays if the program is killed.
// "-" is standard output. Devices and pipes are written to directly.
class OutputFile {
 public:
  // Throws std::runtime_error if the file cannot be made, or for "-" if standard output is a terminal.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  std::ostream& stream();

  // Makes sure that everything is written; throws std::runtime_error if the disk is full or the like.
  // With several files, finish all before the first is committed.
  void Finish();
  void Commit();

 private:
  void OpenTemporary();

  bool LinkTo(const std::string& name) const;

  std::string path_;
  std::string temporary_;  // its name until then; empty: none, or written directly
  int nameless_ = -1;      // the file without a name
  std::ofstream file_;
  bool standard_output_ = false;
};

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_OUTPUT_FILE_H_
