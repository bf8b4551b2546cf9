// A .tied file of arbitrary bytes is refused with CORRUPT or UNSUPPORTED, or works.
//
// Input: the length of the header (16 bits), the header, and the planes, 512 bytes for each multiple of 64 KiB. The
// fuzzer adds a matching preamble. If the length is 0xffff, the rest is the complete file.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tied_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tied::test::UseSafely(tied::test::FileOfInput({data, size}), /*must_open=*/false);
  return 0;
}
