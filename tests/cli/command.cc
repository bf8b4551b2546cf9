#include "tests/cli/command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/launcher.h"

namespace tied::test {

namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  ASSERT_TRUE(file.flush()) << path;
}

// Runs in the child: only calls that are safe after fork().
[[noreturn]] void Exec(const char* folder, const std::vector<char*>& argv, const int (&streams)[3]) {
  for (int i = 0; i < 3; ++i) dup2(streams[i], i);
  if (chdir(folder) == 0) execvp(argv[0], argv.data());
  _exit(126);
}

}  // namespace

void CliTest::SetUp() {
  folder_ = testing::TempDir() + "tied_cli_XXXXXX";
  ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  std::filesystem::create_directory(folder_ + "/work");
  Write("model.tied", model_.File());
}

void CliTest::TearDown() { std::filesystem::remove_all(folder_); }

Outcome CliTest::Tied(const std::vector<std::string>& args, const std::string& input) const {
  return Run(TIED_CLI, args, input);
}

Outcome CliTest::Run(const std::string& program, const std::vector<std::string>& args, const std::string& input) const {
  std::vector<std::string> words = Launcher();
  words.push_back(program);
  words.insert(words.end(), args.begin(), args.end());
  return Execute(words, input);
}

Outcome CliTest::Execute(std::vector<std::string> words, const std::string& input) const {
  WriteFile(folder_ + "/in", input);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const int streams[3] = {open((folder_ + "/in").c_str(), O_RDONLY | O_CLOEXEC),
                          open((folder_ + "/out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                          open((folder_ + "/err").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  const std::string work = folder_ + "/work";
  const pid_t child = fork();
  if (child == 0) Exec(work.c_str(), argv, streams);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  for (const int stream : streams) close(stream);

  Outcome outcome;
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  outcome.out = ReadFile(folder_ + "/out");
  outcome.err = ReadFile(folder_ + "/err");
  return outcome;
}

nlohmann::json CliTest::TiedJson(const std::vector<std::string>& args, const std::string& input) const {
  const Outcome outcome = Tied(args, input);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  return nlohmann::json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
}

void CliTest::ExpectFailure(const std::vector<std::string>& args, int exit_code, const std::vector<std::string>& words,
                            const std::string& input) const {
  SCOPED_TRACE(testing::PrintToString(args));
  const std::vector<std::string> files = Files();
  const Outcome outcome = Tied(args, input);
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  for (const std::string& word : words) EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
  EXPECT_EQ(Files(), files);
}

void CliTest::Write(const std::string& name, const std::string& content) const {
  WriteFile(folder_ + "/work/" + name, content);
}

std::string CliTest::Read(const std::string& name) const { return ReadFile(folder_ + "/work/" + name); }

std::vector<std::string> CliTest::Files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/work")) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tied::test
