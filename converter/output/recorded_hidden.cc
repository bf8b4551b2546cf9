#include "converter/output/recorded_hidden.h"

#include <algorithm>

#include "base/error.h"
#include "base/input_file.h"
#include "base/npy_header.h"

namespace tied::converter {

namespace {

bool StartsLikeNpy(const InputFile& file) {
  std::string start(kNpyMagic.size(), '\0');
  if (file.size() < start.size()) return false;
  file.ReadAt(0, start.data(), start.size());
  return start == kNpyMagic;
}

// Bytes before the elements of a .npy file.
uint64_t CheckedNpyHeader(const InputFile& file, uint64_t cols) {
  const auto fail = [&](const std::string& problem) { throw ConvertError(file.path() + ": " + problem); };
  uint64_t at = 0;
  const auto read = [&](void* data, size_t count) {
    const auto some = static_cast<size_t>(std::min<uint64_t>(count, file.size() - at));
    file.ReadAt(at, data, some);
    at += some;
    return some;
  };
  NpyHeader header;
  std::string problem;
  if (!ReadNpyHeader(read, &header, &problem)) fail(problem);
  if (header.descr != "<f4" || header.fortran_order) fail("hidden states must be float32 in C order");
  size_t count = 0;
  if (header.shape.empty() || static_cast<uint64_t>(header.shape.back()) != cols) {
    fail("hidden states must be [tokens, " + std::to_string(cols) + "]; the last dimension is " +
         (header.shape.empty() ? "missing" : std::to_string(header.shape.back())));
  }
  if (!CountElements(header.shape, &count) || count != (file.size() - at) / sizeof(float)) {
    fail("has " + std::to_string(file.size() - at) + " bytes of data; its shape needs another number");
  }
  return at;
}

}  // namespace

std::vector<float> ReadRecordedHidden(const std::string& path, uint64_t cols, size_t most_tokens) {
  const InputFile file(path);
  const uint64_t header = StartsLikeNpy(file) ? CheckedNpyHeader(file, cols) : 0;
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
