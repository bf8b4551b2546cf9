// Runs the commands with a failure, a full disk or a signal at each of their system calls. Afterwards either the old
// file or the complete new file must exist, and nothing else.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/converter/onnx_builder.h"
#include "tests/faults/small_models.h"
#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;  // contents by path in the folder

Files FilesIn(const std::string& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), folder)] = std::string(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

// A command that writes the files `outputs` into a folder.
struct Written {
  const char* name;
  std::vector<std::string> words;
  std::vector<std::string> outputs;  // in the order in which they become visible
};

const Written kCommands[] = {
    {"Convert", {TIED_CONVERT, "model.onnx", "-o", "out/m.tied"}, {"out/m.tied"}},
    {"Safetensors", {TIED_CONVERT, "model.safetensors", "-o", "out/m.tied"}, {"out/m.tied"}},
    {"Split",
     {TIED_CONVERT, "split", "decoder.onnx", "-o", "out"},
     {"out/decoder.onnx.data", "out/decoder.onnx", "out/model.tied"}},
    {"Embed", {TIED_CLI, "embed", "model.tied", "--ids", "1,2", "-o", "out/e.npy"}, {"out/e.npy"}},
    {"Run",
     {TIED_CLI, "run", "model.tied", "--entry", "head", "--input", "pre_logits=hidden.npy", "--output",
      "logits=out/l.npy", "--output", "embeddings=out/e.npy"},
     {"out/l.npy", "out/e.npy"}},
};

// The environment of a command.
struct Environment {
  std::string fault;
  bool named_files = false;  // as on a file system without unnamed files (O_TMPFILE)
};

class Commands : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    fs::create_directory(folder_.Path("out"));
    folder_.Write("model.tied", TestModel(19, 6).File());
    folder_.Write("model.safetensors", SafetensorsFile());
    folder_.Write("config.json", kSafetensorsConfig);
    folder_.Write("hidden.npy", NpyFloats("(1, 2, 6)", ExactHidden(12)));
    Save(MakeModel({}, folder_.Path("")), folder_.Path("model.onnx"));
    Save(DecoderExport(), folder_.Path("decoder.onnx"));
    const ChildOutcome outcome = Run({});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    whole_ = FilesIn(folder_.Path(""));
    for (const std::string& output : command().outputs) {
      ASSERT_EQ(whole_.count(output), 1u) << output;
      older_[output] = whole_[output];
    }
    for (const auto& file : whole_) {
      if (older_.count(file.first) == 0) before_.insert(file);
    }
  }

  const Written& command() const { return kCommands[GetParam()]; }

  ChildOutcome Run(
      const Environment& environment, const std::function<void()>& before = [] {}) const {
    return RunProgram(command().words, [&] {
      if (chdir(folder_.Path("").c_str()) != 0) _exit(126);
      if (!environment.fault.empty() || environment.named_files) setenv("LD_PRELOAD", TIED_FAILING_CALLS, 1);
      if (!environment.fault.empty()) setenv("TIED_TEST_FAULT", environment.fault.c_str(), 1);
      if (environment.named_files) setenv("TIED_TEST_NAMED_FILES", "1", 1);
      before();
    });
  }

  // Clears the output folder; with_older: puts files there that the outputs will replace.
  void Reset(bool with_older) {
    fs::remove_all(folder_.Path("out"));
    fs::create_directory(folder_.Path("out"));
    expected_ = before_;
    for (const std::string& output : command().outputs) {
      if (with_older) expected_[output] = "older";
      if (with_older) folder_.Write(output, "older");
    }
  }

  // True if the first `count` outputs are new and complete, the others unchanged, and there are no other files.
  bool IsLeft(size_t count) const {
    Files left = expected_;
    for (size_t i = 0; i < count; ++i) left[command().outputs[i]] = whole_.at(command().outputs[i]);
    return FilesIn(folder_.Path("")) == left;
  }
  bool IsLeftInOrder() const {
    for (size_t count = 0; count <= command().outputs.size(); ++count) {
      if (IsLeft(count)) return true;
    }
    return false;
  }

  void DropSecondName() const {
    for (const auto& file : FilesIn(folder_.Path(""))) {
      const size_t end = file.first.find('.', file.first.find_last_not_of("0123456789.") + 1);
      const auto output = whole_.find(file.first.substr(0, end));
      if (end == std::string::npos || output == whole_.end()) continue;
      EXPECT_EQ(file.second, output->second);
      fs::remove(folder_.Path(file.first));
    }
  }

  std::string Names() const {
    std::string names;
    for (const auto& file : FilesIn(folder_.Path(""))) names += file.first + " ";
    return names;
  }

  // Calls check(outcome) for a fault at the first, second … of these calls, until the command makes no such call.
  template <class Check>
  void ForEveryCall(const std::string& calls, const std::string& what, bool with_older, bool named,
                    const Check& check) {
    constexpr int kMostCalls = 200;
    for (int number = 0; number < kMostCalls; ++number) {
      const std::string fault = calls + " " + std::to_string(number) + " " + what;
      SCOPED_TRACE(fault + (with_older ? ", older files" : "") + (named ? ", named files" : ""));
      Reset(with_older);
      const ChildOutcome outcome = Run({fault, named});
      if (outcome.exit_code == 0) {
        EXPECT_TRUE(IsLeft(command().outputs.size())) << Names();
        EXPECT_GT(number, 0);
        return;
      }
      check(outcome);
      if (HasFailure()) return;
    }
    FAIL() << "the command does not stop making such calls";
  }

  const TemporaryFolder folder_;
  Files before_, whole_, older_, expected_;
};

void ExpectSaysWhy(const ChildOutcome& outcome, int error) {
  EXPECT_EQ(outcome.exit_code, 1) << "signal " << outcome.signal;
  EXPECT_NE(outcome.err.find(std::strerror(error)), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("out"), std::string::npos) << outcome.err;
}

TEST_P(Commands, LeaveNothingWhenTheDiskIsFull) {
  for (const bool named : {false, true}) {
    for (const int error : {ENOSPC, EDQUOT}) {
      for (const char* calls : {"create", "pwrite,write,writev", "fsync"}) {
        if (std::string(calls) == "create" && !named) continue;  // it gets a name then
        ForEveryCall(calls, std::to_string(error), named, named, [&](const ChildOutcome& outcome) {
          ExpectSaysWhy(outcome, error);
          EXPECT_TRUE(IsLeft(0)) << Names();
        });
      }
    }
  }
}

TEST_P(Commands, LeaveNothingWhenTheInputCannotBeRead) {
  for (const int error : {EIO, EMFILE}) {
    ForEveryCall("open,pread,read", std::to_string(error), true, false, [&](const ChildOutcome& outcome) {
      EXPECT_EQ(outcome.exit_code, 1) << "signal " << outcome.signal;
      EXPECT_NE(outcome.err.find(std::strerror(error)), std::string::npos) << outcome.err;
      EXPECT_TRUE(IsLeft(0)) << Names();
    });
  }
}

TEST_P(Commands, LeaveOlderFilesWhosePermissionsCannotBeKept) {
  for (const bool named : {false, true}) {
    ForEveryCall("fchmod", std::to_string(EPERM), true, named, [&](const ChildOutcome& outcome) {
      ExpectSaysWhy(outcome, EPERM);
      EXPECT_TRUE(IsLeft(0)) << Names();
    });
  }
}

// Several files become visible one by one, not in one atomic step.
TEST_P(Commands, LeaveWholeFilesWhenTheFolderIsFull) {
  for (const bool with_older : {false, true}) {
    ForEveryCall("rename,linkat", std::to_string(ENOSPC), with_older, false, [&](const ChildOutcome& outcome) {
      ExpectSaysWhy(outcome, ENOSPC);
      EXPECT_TRUE(IsLeftInOrder()) << Names();
    });
  }
}

TEST_P(Commands, InterruptedAndShortCallsAreMadeAgain) {
  for (const bool named : {false, true}) {
    for (const std::string& fault : {"open,pread,read,pwrite,write,writev,fsync,linkat each " + std::to_string(EINTR),
                                     std::string("pread,read,pwrite,write,writev each short")}) {
      Reset(named);
      const ChildOutcome outcome = Run({fault, named});
      EXPECT_EQ(outcome.exit_code, 0) << fault << outcome.err;
      EXPECT_TRUE(IsLeft(command().outputs.size())) << Names();
    }
  }
}

// Sends the signal before each system call; other moments look the same from outside.
TEST_P(Commands, LeaveNothingWhenKilled) {
  const struct {
    int signal;
    bool with_older;
    bool named;
  } cases[] = {{SIGKILL, false, false},
               {SIGKILL, true, false},
               {SIGTERM, true, false},
               {SIGINT, false, true},
               {SIGHUP, true, true}};
  for (const auto& c : cases) {
    ForEveryCall("all", "signal" + std::to_string(c.signal), c.with_older, c.named, [&](const ChildOutcome& outcome) {
      EXPECT_EQ(outcome.signal, c.signal);
      // Just before it replaces the older file, the complete new file has a temporary name.
      if (c.signal == SIGKILL && c.with_older) DropSecondName();
      EXPECT_TRUE(IsLeftInOrder()) << Names();
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, Commands, testing::Range<size_t>(0, std::size(kCommands)),
                         [](const auto& test) { return kCommands[test.param].name; });

TEST(Verify, NamesTheByteThatCannotBeRead) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("m.tied", TestModel(19, 6).File());
  for (const auto& [fault, where] : {std::pair("pread 0 5", "at byte 0: "), {"pread 1 5", "at byte 65536: "}}) {
    const ChildOutcome outcome = RunProgram({TIED_CLI, "verify", path}, [fault = fault] {
      setenv("LD_PRELOAD", TIED_FAILING_CALLS, 1);
      setenv("TIED_TEST_FAULT", fault, 1);
    });
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.err, "tied verify: " + path + ": cannot read " + where + "Input/output error\n");
  }
}

}  // namespace
}  // namespace tied::test
