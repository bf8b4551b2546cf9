// Writes .tied files after FORMAT.md, with nothing shared with the converter's writer. What the header says is up to
// the test, sense or nonsense.
#ifndef TIED_TESTS_SUPPORT_TIED_FILE_H_
#define TIED_TESTS_SUPPORT_TIED_FILE_H_

#include <tied_generated.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tied::test {

class TiedFile {
 public:
  format::HeaderT header;

  // Appends a plane, aligned, with its hash.
  format::Plane AddPlane(const void* data, size_t bytes);

  template <class T>
  format::Plane AddPlane(const std::vector<T>& values) {
    return AddPlane(values.data(), values.size() * sizeof(T));
  }

  // The whole file.
  std::string Bytes() const;

 private:
  std::string planes_;  // from the first one's offset to the end of the file
};

// A preamble that fits this flatbuffer, and the flatbuffer.
std::string WithPreamble(const std::string& flatbuffer, uint64_t file_length, uint32_t version = 1);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_TIED_FILE_H_
