// Runs the commands on a full disk, with resource limits, without permissions, and on pipes that nobody reads.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "tests/converter/onnx_builder.h"
#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"

namespace tied::test {
namespace {

namespace fs = std::filesystem;

class Limits : public testing::Test {
 protected:
  void SetUp() override {
    Save(MakeModel({}, folder_.Path("")), model_);
    folder_.Write("model.tied", TestModel(19, 6).File());
    fs::create_directory(folder_.Path("out"));
  }

  ChildOutcome Convert(
      const std::string& output, const std::function<void()>& before = [] {}) const {
    return RunProgram({TIED_CONVERT, model_, "-o", output}, before);
  }

  ChildOutcome Embed(const std::string& output, const std::function<void()>& before) const {
    return RunProgram({TIED_CLI, "embed", folder_.Path("model.tied"), "--ids", "1", "-o", output}, before);
  }

  void ExpectRefused(const ChildOutcome& outcome, const std::string& word, const std::string& path = "out") const {
    EXPECT_EQ(outcome.exit_code, 1) << "signal " << outcome.signal;
    EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(path), std::string::npos) << outcome.err;
    EXPECT_TRUE(fs::is_empty(folder_.Path("out")));
  }

  const TemporaryFolder folder_;
  const std::string model_ = folder_.Path("model.onnx");
  const std::string output_ = folder_.Path("out/m.tied");
};

TEST_F(Limits, AFileThatMayNotGrow) {
  const auto limit = [] {
    setenv("GCOV_PREFIX", "/dev/null", 1);  // in a build for coverage, the limit would also truncate the counts
    const rlimit bytes = {100, 100};
    setrlimit(RLIMIT_FSIZE, &bytes);
  };
  ExpectRefused(Convert(output_, limit), "File too large");
  ExpectRefused(Embed(folder_.Path("out/e.npy"), limit), "File too large");
}

// Uses a separate mount namespace, which ends with the child.
TEST_F(Limits, ADiskThatIsFull) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can mount a small disk";
  const std::string folder = folder_.Path("out");
  const ChildOutcome outcome = RunInChild([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", folder.c_str(), "tmpfs", 0, "size=4k") != 0) {
      return 77;
    }
    ExpectRefused(Convert(output_), "No space left on device");
    // A file that fits is written.
    EXPECT_EQ(Embed(folder + "/e.npy", [] {}).exit_code, 0);
    if (HasFailure()) std::fflush(stdout);
    return HasFailure() ? 1 : 0;
  });
  if (outcome.exit_code == 77) GTEST_SKIP() << "mounting is not possible here";
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
}

TEST_F(Limits, APipeThatNobodyReads) {
  const auto close_reader = [] {
    int pipes[2];
    if (pipe(pipes) != 0) _exit(126);
    close(pipes[0]);
    dup2(pipes[1], STDOUT_FILENO);
  };
  ExpectRefused(Embed("-", close_reader), "Broken pipe", "standard output");
  // The file is written; only its summary is lost.
  EXPECT_EQ(Convert(output_, close_reader).exit_code, 0);
  EXPECT_GT(fs::file_size(output_), 65536u);
}

TEST_F(Limits, PlacesThatAreNoFile) {
  fs::create_directory(folder_.Path("directory"));
  mkfifo(folder_.Path("fifo").c_str(), 0666);
  fs::create_symlink(folder_.Path("fifo"), folder_.Path("link"));
  ExpectRefused(Convert(folder_.Path("directory")), "is a directory", folder_.Path("directory"));
  ExpectRefused(Embed(folder_.Path("directory"), [] {}), "is a directory", folder_.Path("directory"));
  for (const std::string& output : {folder_.Path("fifo"), folder_.Path("link"), std::string("/dev/null")}) {
    ExpectRefused(Convert(output), "not a regular file", output);
  }
  EXPECT_EQ(Embed("/dev/null", [] {}).exit_code, 0);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(fs::is_fifo(folder_.Path("fifo")));
  EXPECT_TRUE(fs::is_symlink(folder_.Path("link")));
  ExpectRefused(Convert(folder_.Path("no/m.tied")), "No such file or directory", "no/m.tied");
}

TEST_F(Limits, ALinkIsFollowed) {
  folder_.Write("target", "older");
  fs::create_symlink(folder_.Path("target"), folder_.Path("link"));
  EXPECT_EQ(Convert(folder_.Path("link")).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(folder_.Path("link")));
  EXPECT_GT(fs::file_size(folder_.Path("target")), 65536u);
}

// Runs as a user who is not root.
void BecomeNobody() {
  if (geteuid() == 0 && setuid(65534) != 0) _exit(126);
}

TEST_F(Limits, WithoutTheRight) {
  if (geteuid() == 0) chmod(folder_.Path("").c_str(), 0755);
  chmod(folder_.Path("out").c_str(), 0555);
  ExpectRefused(Convert(output_, BecomeNobody), "Permission denied");
  ExpectRefused(Embed(folder_.Path("out/e.npy"), BecomeNobody), "Permission denied");
  chmod(folder_.Path("out").c_str(), 0777);
  chmod(model_.c_str(), 0);
  ExpectRefused(Convert(output_, BecomeNobody), "Permission denied", model_);
}

TEST_F(Limits, WithoutThreadsTheConversionIsTheSame) {
#if defined(TIED_TEST_SANITIZED)
  GTEST_SKIP() << "a sanitizer needs a thread to look for leaks";
#endif
  EXPECT_EQ(Convert(folder_.Path("whole")).exit_code, 0);
  const auto limit = [] {
    const rlimit none = {1, 1};
    setrlimit(RLIMIT_NPROC, &none);
    BecomeNobody();
  };
  chmod(folder_.Path("").c_str(), 0755);
  chmod(folder_.Path("out").c_str(), 0777);
  const ChildOutcome outcome = Convert(output_, limit);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto diff = RunProgram({"cmp", folder_.Path("whole"), output_});
  EXPECT_EQ(diff.exit_code, 0) << diff.out;
}

}  // namespace
}  // namespace tied::test
