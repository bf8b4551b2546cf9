// Runs the `tied` binary in a folder of its own.
#ifndef TIED_TESTS_TOOLS_TIED_COMMAND_H_
#define TIED_TESTS_TOOLS_TIED_COMMAND_H_

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/test_model.h"

namespace tied::test {

// Fixture: a temporary folder with the test model as model.tied, in which every command runs.
class CliTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // `tied args…` with `input` on standard input.
  ChildOutcome Tied(const std::vector<std::string>& args, const std::string& input = "") const;

  // Any other program, in the same way.
  ChildOutcome Run(const std::vector<std::string>& words, const std::string& input = "") const;

  ChildOutcome Shell(const std::string& line) const;

  // `tied`, expected to succeed; parses what it prints.
  nlohmann::json TiedJson(const std::vector<std::string>& args, const std::string& input = "") const;

  // The same, expected to fail with that exit code, print nothing, and say all of `words` on standard error.
  void ExpectFailure(const std::vector<std::string>& args, int exit_code, const std::vector<std::string>& words,
                     const std::string& input = "") const;

  void Write(const std::string& name, const std::string& content) const;
  std::string Read(const std::string& name) const;
  std::vector<std::string> Files() const;

  TestModel model_{19, 6};

 private:
  // In the child: into the folder, with the input.
  void Enter() const;

  std::string folder_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_TOOLS_TIED_COMMAND_H_
