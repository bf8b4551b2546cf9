#include "base/input_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "tests/support/temporary_folder.h"

namespace tied::test {
namespace {

TEST(InputFile, ReadsWhatIsThere) {
  const TemporaryFolder folder;
  const InputFile file(folder.Write("file", "0123456789"));
  EXPECT_EQ(file.size(), 10u);
  std::string read(4, ' ');
  file.ReadAt(6, read.data(), read.size());
  EXPECT_EQ(read, "6789");
}

TEST(InputFile, NamesTheEndOfAFileThatIsTooShort) {
  const TemporaryFolder folder;
  const InputFile file(folder.Write("file", "0123456789"));
  std::string read(4, ' ');
  try {
    file.ReadAt(7, read.data(), read.size());
    FAIL() << "a byte past the end was read";
  } catch (const CommandError& error) {
    EXPECT_EQ(error.what(), folder.Path("file") + ": ends at byte 10; expected more");
  }
}

TEST(InputFile, TakesRegularFilesAlone) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.Path("fifo").c_str(), 0666), 0);
  for (const std::string& path :
       {folder.Path("fifo"), folder.Path(""), std::string("/dev/null"), folder.Path("missing")}) {
    EXPECT_THROW(InputFile{path}, CommandError) << path;
  }
}

}  // namespace
}  // namespace tied::test
