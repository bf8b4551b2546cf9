// Encodes .tied files as short inputs, without the zeros between planes.
#ifndef TIED_TESTS_FUZZ_TIED_INPUT_H_
#define TIED_TESTS_FUZZ_TIED_INPUT_H_

#include <string>

#include "tests/fuzz/fuzz.h"

namespace tied::test {

// The file that an input of tied_bytes_fuzzer encodes.
std::string FileOfInput(Input input);

// Encodes a file whose planes have at most 512 bytes.
std::string InputOfFile(const std::string& file);

}  // namespace tied::test

#endif  // TIED_TESTS_FUZZ_TIED_INPUT_H_
