#include "tests/support/tied_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::test {

namespace {

constexpr size_t kAlignment = 65536;

template <class T>
void Append(std::string* file, T value) {
  file->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void Pad(std::string* bytes) { bytes->resize((bytes->size() + kAlignment - 1) / kAlignment * kAlignment); }

}  // namespace

format::Plane TiedFile::AddPlane(const void* data, size_t bytes) {
  Pad(&planes_);
  const format::Plane plane(kAlignment + planes_.size(), bytes, XXH3_64bits(data, bytes));
  planes_.append(static_cast<const char*>(data), bytes);
  return plane;
}

std::string TiedFile::Bytes() const {
  flatbuffers::FlatBufferBuilder builder;
  format::FinishHeaderBuffer(builder, format::CreateHeader(builder, &header));
  const std::string flatbuffer(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  std::string file = WithPreamble(flatbuffer, kAlignment + planes_.size());
  Pad(&file);
  return file + planes_;
}

std::string WithPreamble(const std::string& flatbuffer, uint64_t file_length, uint32_t version) {
  std::string file("\x89TIED\r\n\x1A", 8);
  Append(&file, version);
  Append(&file, static_cast<uint32_t>(flatbuffer.size()));
  Append(&file, file_length);
  const std::string hashed = file + flatbuffer;
  Append(&file, static_cast<uint64_t>(XXH3_64bits(hashed.data(), hashed.size())));
  return file + flatbuffer;
}

}  // namespace tied::test
