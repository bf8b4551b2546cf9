// A folder for the files of one test.
#ifndef TIED_TESTS_SUPPORT_TEMPORARY_FOLDER_H_
#define TIED_TESTS_SUPPORT_TEMPORARY_FOLDER_H_

#include <string>

namespace tied::test {

// The destructor removes the folder and its content.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& content) const;
  std::string Read(const std::string& name) const;  // "" if the file does not exist

 private:
  std::string folder_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_TEMPORARY_FOLDER_H_
