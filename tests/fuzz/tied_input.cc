#include "tests/fuzz/tied_input.h"

#include "schema/preamble.h"
#include "tests/support/tied_file.h"

namespace tied::test {

namespace {

constexpr size_t kPreamble = sizeof(format::Preamble);
constexpr size_t kAlignment = format::kPlaneAlignment;
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
  const size_t first = format::AlignPlane(kPreamble + header.size());
  std::string file = WithPreamble(header, planes.empty() ? kPreamble + header.size() : first + planes.size());
  if (!planes.empty()) file.resize(first);
  return file + planes;
}

std::string InputOfFile(const std::string& file) {
  format::Preamble preamble;
  std::memcpy(&preamble, file.data(), sizeof preamble);
  const uint32_t length = preamble.header_length;
  const auto short_length = static_cast<uint16_t>(length);
  std::string input(reinterpret_cast<const char*>(&short_length), sizeof short_length);
  input += file.substr(kPreamble, length);
  for (size_t plane = kAlignment; plane < file.size(); plane += kAlignment) input += file.substr(plane, kPlane);
  return input;
}

}  // namespace tied::test
