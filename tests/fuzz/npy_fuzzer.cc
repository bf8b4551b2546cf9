// Arrays that commands read: a .npy file is refused with a message, or read and written back unchanged. Hidden states
// are read from any whole number of raw rows; what begins like a .npy file may be refused for its header.
#include <string>

#include "base/error.h"
#include "converter/output/error_meter.h"
#include "tests/fuzz/fuzz.h"
#include "tools/tied/npy.h"

namespace {

const tied::test::Folder& TheFolder() {
  static const tied::test::Folder folder;
  return folder;
}

void ReadAsNpy(const std::string& path) {
  tied::cli::Array array;
  try {
    array = tied::cli::ReadNpy(path);
  } catch (const std::runtime_error& error) {
    return tied::test::Require(std::string(error.what()).rfind(path, 0) == 0, "a message begins with the file's name");
  }
  TheFolder().Write("written.npy", tied::cli::NpyHeaderOf(array) + std::string(array.bytes.begin(), array.bytes.end()));
  const tied::cli::Array again = tied::cli::ReadNpy(TheFolder().Path("written.npy"));
  tied::test::Require(again.type == array.type && again.shape == array.shape && again.bytes == array.bytes,
                      "a written array is read unchanged");
}

void ReadAsHidden(const std::string& path, const std::string& bytes) {
  const uint64_t cols = 3;
  try {
    (void)tied::converter::ErrorMeter(2, cols, path);
  } catch (const tied::converter::ConvertError&) {
    const bool whole_rows = !bytes.empty() && bytes.size() % (cols * sizeof(float)) == 0;
    const bool has_npy_magic = bytes.rfind("\x93NUMPY", 0) == 0;
    return tied::test::Require(!whole_rows || has_npy_magic, "raw rows of hidden states are read");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  TheFolder().Write("input", bytes);
  ReadAsNpy(TheFolder().Path("input"));
  ReadAsHidden(TheFolder().Path("input"), bytes);
  return 0;
}
