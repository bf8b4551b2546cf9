// Shared by the fuzzers. Each *_fuzzer.cc tests one promise in LLVMFuzzerTestOneInput(), which is called by libFuzzer
// (TIED_FUZZ), or by replay.cc on the inputs in the corpus and in regressions/.
#ifndef TIED_TESTS_FUZZ_FUZZ_H_
#define TIED_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tied::test {

// Ends the process with a message if a promise does not hold.
void Require(bool holds, const std::string& promise);

// An input as a source of values; zeros after its end. (GCC does not have LLVM's FuzzedDataProvider.)
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(reinterpret_cast<const char*>(data)), left_(size) {}

  bool empty() const { return left_ == 0; }

  template <class T>
  T Take() {
    T value = 0;
    const std::string bytes = TakeBytes(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  bool Flip() { return Take<uint8_t>() % 2 != 0; }
  // Below `count`, which is not 0.
  size_t Below(size_t count) { return Take<uint16_t>() % count; }

  // Up to `size` bytes, fewer at the end.
  std::string TakeBytes(size_t size) {
    const std::string bytes(data_, size < left_ ? size : left_);
    data_ += bytes.size();
    left_ -= bytes.size();
    return bytes;
  }
  std::string TakeRest() { return TakeBytes(left_); }
  // Up to the next zero byte, which is taken too.
  std::string TakeText() {
    const void* end = std::memchr(data_, '\0', left_);
    const std::string text =
        TakeBytes(end == nullptr ? left_ : static_cast<size_t>(static_cast<const char*>(end) - data_));
    (void)TakeBytes(1);
    return text;
  }

 private:
  const char* data_;
  size_t left_;
};

// A folder for the inputs of one process, in TMPDIR.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, const std::string& content) const;
  std::string Read(const std::string& name) const;
  std::set<std::string> Files() const;

 private:
  std::string path_;
};

// UseModel(); anything wrong is a finding.
void UseSafely(const std::string& file, bool must_open);

}  // namespace tied::test

#endif  // TIED_TESTS_FUZZ_FUZZ_H_
