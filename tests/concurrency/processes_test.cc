// Many processes that use the same file.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/concurrency/calls.h"

namespace tied::test {
namespace {

// Memory that the mapping of a file takes in one process.
struct Mapping {
  size_t resident = 0, proportional = 0, private_dirty = 0;
};

Mapping ReadMapping(pid_t process, const std::string& path) {
  std::ifstream smaps("/proc/" + std::to_string(process) + "/smaps");
  Mapping mapping;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    size_t kib = 0;
    if (line.find('-') < line.find(' ')) inside = line.find(path) != std::string::npos;
    if (!inside) continue;
    if (std::sscanf(line.c_str(), "Rss: %zu", &kib) == 1) mapping.resident += kib * 1024;
    if (std::sscanf(line.c_str(), "Pss: %zu", &kib) == 1) mapping.proportional += kib * 1024;
    if (std::sscanf(line.c_str(), "Private_Dirty: %zu", &kib) == 1) mapping.private_dirty += kib * 1024;
  }
  return mapping;
}

bool Exited(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

TEST(Processes, ShareTheFilesPagesAndComputeTheSameBits) {
  constexpr size_t kProcesses = 8;
  const Calls calls(4096, 256, 2);
  const TemporaryFolder folder;
  const std::string path = folder.Write("model.tied", calls.file());
  int ready[2], release[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(release), 0);
  std::vector<pid_t> children;
  for (size_t i = 0; i < kProcesses; ++i) {
    children.push_back(fork());
    ASSERT_GE(children.back(), 0);
    if (children.back() != 0) continue;
    close(release[1]);
    tied_model* model = nullptr;
    if (tied_model_open(path.c_str(), nullptr, &model, nullptr) != TIED_OK) _exit(1);
    tied_session_options options = TIED_SESSION_OPTIONS_INIT;
    options.threads = 2;
    tied_session* session = nullptr;
    if (tied_session_create(model, &options, &session, nullptr) != TIED_OK) _exit(2);
    char byte = calls.CountWrong(session, 2) == 0 ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(3);
    _exit(read(release[0], &byte, 1) == 0 ? 0 : 4);  // until the parent closes its end
  }
  for (size_t i = 0; i < kProcesses; ++i) {
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
  }
  size_t proportional = 0;
  for (const pid_t child : children) {
    const Mapping mapping = ReadMapping(child, path);
    EXPECT_GE(mapping.resident, calls.file().size() * 9 / 10);
    EXPECT_EQ(mapping.private_dirty, 0u);
    proportional += mapping.proportional;
  }
  // The processes' shares of the pages add up to one copy; each is rounded down to a KiB.
  EXPECT_LE(proportional, calls.file().size() + 65536);
  EXPECT_GE(proportional, calls.file().size() * 9 / 10);
  close(release[1]);
  for (const pid_t child : children) EXPECT_TRUE(Exited(child));
  for (const int end : {ready[0], ready[1], release[0]}) close(end);
}

// A session's threads stay in the parent; a child creates a new session on the same model.
TEST(Processes, AForkedChildUsesItsParentsModel) {
  const Calls calls(601, 33, 2);
  const TemporaryFolder folder;
  const std::string path = folder.Write("model.tied", calls.file());
  tied_model* opened = nullptr;
  ASSERT_EQ(tied_model_open(path.c_str(), nullptr, &opened, nullptr), TIED_OK);
  const ModelPtr model(opened);
  const SessionPtr session = MakeSession(model.get(), 2);
  EXPECT_EQ(calls.CountWrong(session.get(), 1), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    SessionPtr own = MakeSession(model.get(), 2);
    const int wrong = calls.CountWrong(own.get(), 2);
    own.reset();
    _exit(wrong);
  }
  EXPECT_EQ(calls.CountWrong(session.get(), 2), 0);
  EXPECT_TRUE(Exited(child));
  EXPECT_EQ(calls.CountWrong(session.get(), 1), 0);
}

}  // namespace
}  // namespace tied::test
