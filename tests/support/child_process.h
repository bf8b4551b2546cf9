// Runs programs and functions in separate processes.
#ifndef TIED_TESTS_SUPPORT_CHILD_PROCESS_H_
#define TIED_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace tied::test {

struct ChildOutcome {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;      // the signal; 0: none
  std::string out;     // standard output
  std::string err;     // standard error
  size_t peak_bytes = 0;
};

// Runs a program of this build or any other. `before` runs in the child first.
ChildOutcome RunProgram(
    std::vector<std::string> words, const std::function<void()>& before = [] {});

// Runs `body`, which returns the exit code, in a fork of this process.
ChildOutcome RunInChild(const std::function<int()>& body);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_CHILD_PROCESS_H_
