// A file that appears whole or not at all.
#ifndef TIED_EXAMPLES_CLI_OUTPUT_FILE_H_
#define TIED_EXAMPLES_CLI_OUTPUT_FILE_H_

#include <fstream>
#include <ostream>
#include <string>

namespace tied::cli {

// Writes beside the file under a temporary name that Commit() renames; destroyed without it, nothing is left.
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

  std::string path_;
  std::string temporary_;  // empty: written directly
  std::ofstream file_;
  bool standard_output_ = false;
};

}  // namespace tied::cli

#endif  // TIED_EXAMPLES_CLI_OUTPUT_FILE_H_
