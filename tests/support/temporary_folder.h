// A folder for the files of one test.
#ifndef TIED_TESTS_SUPPORT_TEMPORARY_FOLDER_H_
#define TIED_TESTS_SUPPORT_TEMPORARY_FOLDER_H_

#include <string>

namespace tied::test {

// Removed at the end, with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& content) const;
  std::string Read(const std::string& name) const;  // "" for a file that is not there

 private:
  std::string folder_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_TEMPORARY_FOLDER_H_
