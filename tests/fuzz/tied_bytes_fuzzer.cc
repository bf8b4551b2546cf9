// A .tied file of any bytes is refused with CORRUPT or UNSUPPORTED, or works.
//
// Input: a length (16 bits), so many bytes of header, and the planes, 512 bytes for each multiple of 64 KiB. The
// preamble is made to fit. A length of 0xffff: the rest is the file as it is.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tied_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tied::test::UseSafely(tied::test::FileOfInput({data, size}), /*must_open=*/false);
  return 0;
}
