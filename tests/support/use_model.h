// Everything that the C ABI can do with a file, for tests of files that nobody should have written.
#ifndef TIED_TESTS_SUPPORT_USE_MODEL_H_
#define TIED_TESTS_SUPPORT_USE_MODEL_H_

#include <tied/tied.h>

#include <string>

namespace tied::test {

struct Use {
  tied_status opened = TIED_OK;
  std::string message;             // of the refusal
  tied_status verified = TIED_OK;  // of a file that opens
  std::string wrong;               // what tied.h promises and did not hold; "" for nothing
  std::string results;             // bytes of all that was computed
};

// Opens a file in memory, describes, verifies and runs it: every entry point, and every typed call. Tables of more than
// some 100,000 elements are described only.
Use UseModel(const std::string& file);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_USE_MODEL_H_
