// Makes system calls fail on request. Linked into a program, or preloaded into a command with LD_PRELOAD, it replaces
// the C library's functions for files, and pthread_create().
#ifndef TIED_TESTS_FAULTS_FAILING_CALLS_H_
#define TIED_TESTS_FAULTS_FAILING_CALLS_H_

#include <string>

namespace tied::test {

// A fault as text, "CALLS NUMBER WHAT":
//   CALLS: names of functions, such as "pwrite,fsync"; "all" for any of them
//   NUMBER: index of the call among these, from 0; "each" for every one
//   WHAT: an errno, such as "28"; "short": fewer bytes than possible are read or written; "signal9": the process gets
//         that signal before the call
// Each EINTR is followed by a call that succeeds. open() for reading is named "open", every other way to open or create
// a file "create". With TIED_TEST_NAMED_FILES in the environment, unnamed files are unsupported.
//
// Applies to this process until the next SetFault(); "" for none. A command reads it from the environment variable
// TIED_TEST_FAULT.
void SetFault(const std::string& fault);

// True if the fault has occurred.
bool FaultHappened();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_FAILING_CALLS_H_
