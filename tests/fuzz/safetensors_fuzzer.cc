// A safetensors model of any bytes, with its index and its config.json, is refused with a message, or gives a file that
// opens and runs.
//
// Input: options (8 bits); then, each up to a zero byte, config.json, the index (empty: there is none) and the JSON
// header of the file; then the file's values. Without a header the rest is the file as it is.
#include <filesystem>

#include "tests/fuzz/convert.h"

namespace tied::test {
namespace {

constexpr char kFile[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";

void Run(Input input) {
  static const Folder folder;
  const auto options = input.Take<uint8_t>();
  folder.Write("config.json", input.TakeText());
  const std::string index = input.TakeText();
  const std::string header = input.TakeText();
  const uint64_t length = header.size();
  const std::string prefix(reinterpret_cast<const char*>(&length), sizeof length);
  folder.Write(kFile, header.empty() ? input.TakeRest() : prefix + header + input.TakeRest());
  if (!index.empty()) folder.Write(kIndex, index);
  ConvertSafely(folder, index.empty() ? kFile : kIndex, OptionsOf(options & 0x3f));
  std::filesystem::remove(folder.Path(kIndex));
}

}  // namespace
}  // namespace tied::test

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tied::test::Run({data, size});
  return 0;
}
