#include "converter/output/recorded_hidden.h"

#include <algorithm>

#include "base/error.h"
#include "base/input_file.h"

namespace tied::converter {

namespace {

// Bytes before the elements: 0 for a raw file. See numpy.lib.format.
uint64_t HeaderBytes(const InputFile& file) {
  constexpr size_t kFixed = 10;  // magic, version, and the length of the text that follows, 2 bytes
  std::string start(kFixed, '\0');
  if (file.size() < kFixed) return 0;
  file.ReadAt(0, start.data(), kFixed);
  if (start.compare(0, 6, "\x93NUMPY") != 0) return 0;
  const size_t length = static_cast<unsigned char>(start[8]) + 256u * static_cast<unsigned char>(start[9]);
  std::string text(std::min<uint64_t>(length, file.size() - kFixed), '\0');
  file.ReadAt(kFixed, text.data(), text.size());
  const auto has = [&](const char* part) { return text.find(part) != std::string::npos; };
  if (start[6] != 1 || !has("'<f4'") || !has("'fortran_order': False")) {
    throw ConvertError(file.path() + ": hidden states must be float32 in C order");
  }
  return kFixed + text.size();
}

}  // namespace

std::vector<float> ReadRecordedHidden(const std::string& path, uint64_t cols, size_t most_tokens) {
  const InputFile file(path);
  const uint64_t header = HeaderBytes(file);
  const uint64_t bytes = file.size() - header;
  const uint64_t token_bytes = cols * sizeof(float);
  if (bytes == 0 || bytes % token_bytes != 0) {
    throw ConvertError(path + ": has " + std::to_string(bytes) + " bytes, which is not a multiple of " +
                       std::to_string(token_bytes) + ", the size of a hidden state");
  }
  std::vector<float> hidden(static_cast<size_t>(std::min<uint64_t>(bytes / token_bytes, most_tokens) * cols));
  file.ReadAt(header, hidden.data(), hidden.size() * sizeof(float));
  return hidden;
}

}  // namespace tied::converter
