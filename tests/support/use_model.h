// Makes every call of the C ABI on a file, for tests of damaged and malicious files.
#ifndef TIED_TESTS_SUPPORT_USE_MODEL_H_
#define TIED_TESTS_SUPPORT_USE_MODEL_H_

#include <tied/tied.h>

#include <string>

namespace tied::test {

struct Use {
  tied_status opened = TIED_OK;
  std::string message;             // of the error
  tied_status verified = TIED_OK;  // if the file opens
  std::string wrong;               // the promise of tied.h that did not hold, or ""
  std::string results;             // bytes of all results
};

// Opens a file in memory, describes and verifies it, and runs every entry point and every typed call. Tables of more
// than about 100,000 elements are only described.
Use UseModel(const std::string& file);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_USE_MODEL_H_
