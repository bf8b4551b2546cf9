// System calls that fail when a test says so. Linked into a program, or put before the libraries of a command with
// LD_PRELOAD, it stands before the C library's functions for files, and pthread_create().
#ifndef TIED_TESTS_FAULTS_FAILING_CALLS_H_
#define TIED_TESTS_FAULTS_FAILING_CALLS_H_

#include <string>

namespace tied::test {

// A fault as text, "CALLS NUMBER WHAT":
//   CALLS: names of functions, such as "pwrite,fsync"; "all" for any of them
//   NUMBER: which of these calls it is, from 0; "each" for every one
//   WHAT: an errno, such as "28"; "short": fewer bytes are read or written than could be; "signal9": the process gets
//         that signal before the call
// Each EINTR is followed by a call that succeeds. open() for reading is called "open", every other way to open or make
// a file "create". With TIED_TEST_NAMED_FILES in the environment there are no files without a name.
//
// In this process, until the next; "" for none. A command reads it from the environment variable TIED_TEST_FAULT.
void SetFault(const std::string& fault);

// Whether it came to it.
bool FaultHappened();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_FAILING_CALLS_H_
