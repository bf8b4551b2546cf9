#include "tests/tools/tied/command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

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

}  // namespace

void CliTest::SetUp() {
  folder_ = testing::TempDir() + "tied_cli_XXXXXX";
  ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  std::filesystem::create_directory(folder_ + "/work");
  Write("model.tied", model_.File());
}

void CliTest::TearDown() { std::filesystem::remove_all(folder_); }

ChildOutcome CliTest::Tied(const std::vector<std::string>& args, const std::string& input) const {
  std::vector<std::string> words = {TIED_CLI};
  words.insert(words.end(), args.begin(), args.end());
  return Run(words, input);
}

ChildOutcome CliTest::Run(const std::vector<std::string>& words, const std::string& input) const {
  WriteFile(folder_ + "/in", input);
  return RunProgram(words, [this] { Enter(); });
}

ChildOutcome CliTest::Shell(const std::string& line) const {
  WriteFile(folder_ + "/in", "");
  return RunInChild([&] {
    Enter();
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    return 127;
  });
}

void CliTest::Enter() const {
  dup2(open((folder_ + "/in").c_str(), O_RDONLY | O_CLOEXEC), STDIN_FILENO);
  if (chdir((folder_ + "/work").c_str()) != 0) _exit(126);
}

nlohmann::json CliTest::TiedJson(const std::vector<std::string>& args, const std::string& input) const {
  const ChildOutcome outcome = Tied(args, input);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  return nlohmann::json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
}

void CliTest::ExpectFailure(const std::vector<std::string>& args, int exit_code, const std::vector<std::string>& words,
                            const std::string& input) const {
  SCOPED_TRACE(testing::PrintToString(args));
  const std::vector<std::string> files = Files();
  const ChildOutcome outcome = Tied(args, input);
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
