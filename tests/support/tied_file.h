// Writes .tied files according to FORMAT.md, independently of the converter's writer. A test may put anything into the
// header, valid or not.
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
  std::string planes_;  // from the offset of the first plane to the end of the file
};

// A matching preamble, followed by the flatbuffer.
std::string WithPreamble(const std::string& flatbuffer, uint64_t file_length, uint32_t version = 2);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_TIED_FILE_H_
