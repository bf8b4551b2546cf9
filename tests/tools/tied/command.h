// Runs the `tied` program in a separate folder.
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

  // Runs `tied args…` with `input` on standard input.
  ChildOutcome Tied(const std::vector<std::string>& args, const std::string& input = "") const;

  // Runs any other program in the same way.
  ChildOutcome Run(const std::vector<std::string>& words, const std::string& input = "") const;

  ChildOutcome Shell(const std::string& line) const;

  // Runs `tied`, expects success, and parses its output.
  nlohmann::json TiedJson(const std::vector<std::string>& args, const std::string& input = "") const;

  // Runs `tied`, and expects that exit code, no output, and all of `words` on standard error.
  void ExpectFailure(const std::vector<std::string>& args, int exit_code, const std::vector<std::string>& words,
                     const std::string& input = "") const;

  void Write(const std::string& name, const std::string& content) const;
  std::string Read(const std::string& name) const;
  std::vector<std::string> Files() const;

  TestModel model_{19, 6};

 private:
  // In the child: changes to the folder and opens the input.
  void Enter() const;

  std::string folder_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_TOOLS_TIED_COMMAND_H_
