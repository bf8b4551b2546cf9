// An ONNX file of arbitrary bytes is refused with a message or converted to a file that opens and runs. No file outside
// its folder is read.
//
// Input: options (8 bits), then the ModelProto. External data may be in table.bin; link.bin points outside the folder.
#include <filesystem>

#include "tests/fuzz/convert.h"

namespace {

using tied::test::Folder;

// table.bin holds small numbers of every type.
const Folder& TheFolder() {
  static const Folder outside;
  static const Folder folder;
  static const bool made = [] {
    std::string data;
    for (int i = 0; i < 2048; ++i) data += std::string({static_cast<char>(i % 7), '\0', '\0', '\x3f'});
    folder.Write("table.bin", data);
    outside.Write("secret.bin", data);
    std::filesystem::create_symlink(outside.Path("secret.bin"), folder.Path("link.bin"));
    return true;
  }();
  (void)made;
  return folder;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  TheFolder().Write("model.onnx", std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  if ((data[0] & 0x80) != 0) {
    tied::test::SplitSafely(TheFolder(), "model.onnx");
  } else {
    tied::test::ConvertSafely(TheFolder(), "model.onnx", tied::test::OptionsOf(data[0] & 0x3f));
  }
  return 0;
}
