// .tied files as short inputs: the zeros between planes are left out.
#ifndef TIED_TESTS_FUZZ_TIED_INPUT_H_
#define TIED_TESTS_FUZZ_TIED_INPUT_H_

#include <string>

#include "tests/fuzz/fuzz.h"

namespace tied::test {

// The file that an input of tied_bytes_fuzzer stands for.
std::string FileOfInput(Input input);

// An input that stands for a file whose planes have at most 512 bytes.
std::string InputOfFile(const std::string& file);

}  // namespace tied::test

#endif  // TIED_TESTS_FUZZ_TIED_INPUT_H_
