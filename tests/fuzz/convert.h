// A conversion of a hostile model in a folder of its own.
#ifndef TIED_TESTS_FUZZ_CONVERT_H_
#define TIED_TESTS_FUZZ_CONVERT_H_

#include <string>

#include "tests/fuzz/fuzz.h"

namespace tied::test {

// How a model is converted, as the options of tied-convert say.
struct ConvertOptions {
  bool allow_untied;
  bool screen;
  bool check;
  int type;  // 0: as it is in the model; else index of a number format
};
ConvertOptions OptionsOf(uint8_t bits);

// Converts folder/`name`: a ConvertError with a message and nothing left behind, or a file that opens and runs.
void ConvertSafely(const Folder& folder, const std::string& name, const ConvertOptions& options);

// Takes folder/`name` apart in the same sense; what is written is read again.
void SplitSafely(const Folder& folder, const std::string& name);

}  // namespace tied::test

#endif  // TIED_TESTS_FUZZ_CONVERT_H_
