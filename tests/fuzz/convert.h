// Converts hostile models in a separate folder.
#ifndef TIED_TESTS_FUZZ_CONVERT_H_
#define TIED_TESTS_FUZZ_CONVERT_H_

#include <string>

#include "tests/fuzz/fuzz.h"

namespace tied::test {

// Options of tied-convert.
struct ConvertOptions {
  bool allow_untied;
  bool screen;
  bool check;
  int type;  // 0: as in the model; otherwise the index of a number format
};
ConvertOptions OptionsOf(uint8_t bits);

// Converts folder/`name`. It must throw a ConvertError with a message and leave no files, or write a file that opens
// and runs.
void ConvertSafely(const Folder& folder, const std::string& name, const ConvertOptions& options);

// Splits folder/`name` with the same checks, and reads what it writes.
void SplitSafely(const Folder& folder, const std::string& name);

}  // namespace tied::test

#endif  // TIED_TESTS_FUZZ_CONVERT_H_
