#include "tests/fuzz/tied_input.h"

#include "tests/support/tied_file.h"

namespace tied::test {

namespace {

constexpr size_t kPreamble = 32;
constexpr size_t kAlignment = 65536;
constexpr size_t kPlane = 512;
constexpr size_t kMaxPlanes = 16;
constexpr uint16_t kAsItIs = 0xffff;

}  // namespace

std::string FileOfInput(Input input) {
  const auto length = input.Take<uint16_t>();
  if (length == kAsItIs) return input.TakeRest();
  const std::string header = input.TakeBytes(length);
  std::string planes;
  for (size_t i = 0; i < kMaxPlanes && !input.empty(); ++i) {
    planes.resize(i * kAlignment);
    planes += input.TakeBytes(kPlane);
  }
  const size_t first = (kPreamble + header.size() + kAlignment - 1) / kAlignment * kAlignment;
  std::string file = WithPreamble(header, planes.empty() ? kPreamble + header.size() : first + planes.size());
  if (!planes.empty()) file.resize(first);
  return file + planes;
}

std::string InputOfFile(const std::string& file) {
  uint32_t length = 0;
  std::memcpy(&length, file.data() + 12, sizeof length);
  const auto short_length = static_cast<uint16_t>(length);
  std::string input(reinterpret_cast<const char*>(&short_length), sizeof short_length);
  input += file.substr(kPreamble, length);
  for (size_t plane = kAlignment; plane < file.size(); plane += kAlignment) input += file.substr(plane, kPlane);
  return input;
}

}  // namespace tied::test
