// A safetensors model of arbitrary bytes, with its index and its config.json, is refused with a message or converted to
// a file that opens and runs.
//
// Input: options (8 bits); then config.json, the index (empty: no index) and the JSON header of the file, each up to a
// zero byte; then the file's values. If the header is empty, the rest is the complete file.
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
