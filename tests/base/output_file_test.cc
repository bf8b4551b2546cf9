// tests/faults covers failing file systems and signals.
#include "base/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_folder.h"

namespace tied::test {
namespace {

namespace fs = std::filesystem;
using Streams = OutputFile::Streams;

void WriteText(const std::string& path, Streams streams, const std::string& text = "new") {
  OutputFile file(path, streams);
  file.Write(text.data(), 1);
  file.Write(text.data() + 1, text.size() - 1);
  file.StartSync(0, text.size());
  file.Sync();
  file.Commit();
}

unsigned ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777u;
}

class Output : public testing::TestWithParam<Streams> {
 protected:
  void ExpectRefused(const std::string& path, const std::string& word) const {
    try {
      WriteText(path, GetParam());
      ADD_FAILURE() << path << " was written";
    } catch (const CommandError& error) {
      EXPECT_EQ(std::string(error.what()).rfind(path + ": ", 0), 0u) << error.what();
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }

  size_t Count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_.Path("")), fs::directory_iterator()));
  }

  const TemporaryFolder folder_;
};

TEST_P(Output, AppearsAtCommit) {
  {
    OutputFile file(folder_.Path("a"), GetParam());
    file.WriteAt(2, "cd", 2);
    file.WriteAt(0, "ab", 2);
    file.Sync();
    EXPECT_FALSE(fs::exists(folder_.Path("a")));
    file.Commit();
    EXPECT_EQ(folder_.Read("a"), "abcd");
  }
  { const OutputFile dropped(folder_.Path("b"), GetParam()); }
  EXPECT_EQ(Count(), 1u);
}

TEST_P(Output, IsAsReadableAsOtherNewFiles) {
  const mode_t before = umask(0027);
  WriteText(folder_.Path("a"), GetParam());
  umask(before);
  EXPECT_EQ(ModeOf(folder_.Path("a")), 0640u);
}

TEST_P(Output, KeepsThePermissionsOfWhatItReplaces) {
  for (const unsigned mode : {0600u, 0666u, 0644u, 0400u, 0755u}) {
    folder_.Write("a", "older");
    ASSERT_EQ(chmod(folder_.Path("a").c_str(), mode), 0);
    {
      const OutputFile file(folder_.Path("a"), GetParam());
      struct stat info = {};
      ASSERT_EQ(fstat(file.descriptor(), &info), 0);
      EXPECT_EQ(info.st_mode & 07777u, mode);
    }
    EXPECT_EQ(folder_.Read("a"), "older");
    WriteText(folder_.Path("a"), GetParam());
    EXPECT_EQ(folder_.Read("a"), "new");
    EXPECT_EQ(ModeOf(folder_.Path("a")), mode);
    fs::remove(folder_.Path("a"));
  }
}

TEST_P(Output, LinksAreFollowed) {
  fs::create_directory(folder_.Path("folder"));
  fs::create_symlink("folder/file", folder_.Path("second"));
  fs::create_symlink(folder_.Path("second"), folder_.Path("first"));
  for (const std::string text : {"to a name that is free", "to a file"}) {
    WriteText(folder_.Path("first"), GetParam(), text);
    EXPECT_TRUE(fs::is_symlink(folder_.Path("first")));
    EXPECT_TRUE(fs::is_symlink(folder_.Path("second")));
    EXPECT_EQ(folder_.Read("folder/file"), text);
  }
  EXPECT_EQ(Count(), 3u);
}

TEST_P(Output, LinksThatLeadNowhereStay) {
  fs::create_symlink("loop", folder_.Path("loop"));
  fs::create_symlink("no/such/folder", folder_.Path("lost"));
  ExpectRefused(folder_.Path("loop"), "symbolic links");
  EXPECT_THROW(WriteText(folder_.Path("lost"), GetParam()), CommandError);
  EXPECT_TRUE(fs::is_symlink(folder_.Path("loop")));
  EXPECT_TRUE(fs::is_symlink(folder_.Path("lost")));
  EXPECT_EQ(Count(), 2u);
}

TEST_P(Output, WhatIsNotAFileIsNotReplaced) {
  fs::create_directory(folder_.Path("folder"));
  const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, folder_.Path("socket").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ExpectRefused(folder_.Path("folder"), "is a directory");
  ExpectRefused(folder_.Path("socket"), "is not a regular file");
  EXPECT_TRUE(fs::is_directory(folder_.Path("folder")));
  EXPECT_TRUE(fs::is_socket(folder_.Path("socket")));
  EXPECT_EQ(Count(), 2u);
  close(server);
}

TEST_P(Output, AnOpenFileWithoutANameIsNotReplaced) {
  const int descriptor = open(folder_.Path("").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) GTEST_SKIP() << "this file system names all its files";
  ExpectRefused("/proc/self/fd/" + std::to_string(descriptor), "without a name");
  EXPECT_EQ(Count(), 0u);
  close(descriptor);
}

TEST_P(Output, ClosedStandardStreamsDoNotWriteIntoIt) {
  const ChildOutcome outcome = RunInChild([&] {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(descriptor);
    OutputFile file(folder_.Path("a"), GetParam());
    file.Write("new", 3);
    file.Commit();
    std::printf("message");
    std::fflush(stdout);
    return 0;
  });
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(folder_.Read("a"), "new");
}

INSTANTIATE_TEST_SUITE_P(Streams, Output, testing::Values(Streams::kRefused, Streams::kWritten),
                         [](const auto& test) { return test.param == Streams::kRefused ? "Refused" : "Written"; });

// A link to a pipe stays a link. The text goes into the pipe, or nowhere if streams are refused.
TEST(OutputStream, PipesAreWrittenOrRefused) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.Path("fifo").c_str(), 0666), 0);
  fs::create_symlink("fifo", folder.Path("link"));
  const int reader = open(folder.Path("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  for (const std::string& path : {folder.Path("fifo"), folder.Path("link")}) {
    EXPECT_THROW(WriteText(path, Streams::kRefused), CommandError);
    WriteText(path, Streams::kWritten);
    char text[8] = "";
    EXPECT_EQ(read(reader, text, sizeof(text)), 3);
    EXPECT_STREQ(text, "new");
  }
  EXPECT_TRUE(fs::is_symlink(folder.Path("link")));
  EXPECT_TRUE(fs::is_fifo(folder.Path("fifo")));
  close(reader);
}

// Tests all names of standard output, for a pipe and for a file that already has content.
TEST(OutputStream, StandardOutputIsWrittenOrRefused) {
  const TemporaryFolder folder;
  fs::create_symlink("/dev/fd/1", folder.Path("link"));
  for (const std::string& path : {std::string("-"), std::string("/dev/stdout"), folder.Path("link")}) {
    const ChildOutcome outcome = RunInChild([&] {
      if (write(STDOUT_FILENO, "older ", 6) != 6) return 2;
      try {
        WriteText(path, Streams::kRefused);
      } catch (const CommandError&) {
        WriteText(path, Streams::kWritten);
        return 0;
      }
      return 1;
    });
    EXPECT_EQ(outcome.exit_code, 0) << path;
    EXPECT_EQ(outcome.out, "older new") << path;
  }
  EXPECT_TRUE(fs::is_symlink(folder.Path("link")));
  EXPECT_TRUE(fs::is_symlink("/dev/stdout"));
  EXPECT_FALSE(fs::exists("-"));
}

TEST(RefuseInputs, SeesTheSameFileUnderOtherNames) {
  const TemporaryFolder folder;
  folder.Write("a", "input");
  fs::create_hard_link(folder.Path("a"), folder.Path("b"));
  fs::create_symlink("a", folder.Path("c"));
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_THROW(RefuseInputs(folder.Path(name), {"", folder.Path("a")}), CommandError) << name;
  }
  EXPECT_NO_THROW(RefuseInputs(folder.Path("d"), {"", folder.Path("a")}));
}

}  // namespace
}  // namespace tied::test
