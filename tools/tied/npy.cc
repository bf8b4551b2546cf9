#include "tools/tied/npy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string_view>

#include "base/npy_header.h"
#include "base/printable.h"
#include "base/retry.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

// An open file and its name for messages.
class Input {
 public:
  explicit Input(const std::string& path)
      : name_(path == "-" ? "standard input" : path),
        fd_(path == "-" ? STDIN_FILENO : Open(path)),
        owned_(path != "-") {
    if (fd_ < 0) Fail(std::strerror(errno));
  }
  ~Input() {
    if (owned_) close(fd_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  [[noreturn]] void Fail(const std::string& message) const { throw std::runtime_error(name_ + ": " + message); }

  // Reads `count` bytes, or fewer at the end of the file.
  size_t Read(void* data, size_t count) {
    size_t done = 0;
    while (done < count) {
      const ssize_t got = Retry([&] { return read(fd_, static_cast<char*>(data) + done, count - done); });
      if (got < 0) Fail(std::strerror(errno));
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

 private:
  static int Open(const std::string& path) {
    return Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  }

  std::string name_;
  int fd_;
  bool owned_;
};

// Reads `count` bytes. Allocates at most twice as much memory as the file really holds.
std::vector<unsigned char> ReadPayload(Input& input, size_t count) {
  constexpr size_t kStep = size_t{1} << 20;
  std::vector<unsigned char> bytes;
  while (bytes.size() < count) {
    const size_t have = bytes.size();
    const size_t step = std::min(count - have, std::max(have, kStep));
    bytes.resize(have + step);
    const size_t got = input.Read(bytes.data() + have, step);
    if (got < step) {
      input.Fail("is truncated: " + std::to_string(have + got) + " bytes of data; its shape needs " +
                 std::to_string(count));
    }
  }
  unsigned char extra;
  if (input.Read(&extra, 1) != 0) {
    input.Fail("holds more data than the " + std::to_string(count) + " bytes that its shape needs");
  }
  return bytes;
}

tied_type TypeOfDescr(const std::string& descr) {
  if (descr == "<f4") return TIED_FLOAT32;
  if (descr == "<i4") return TIED_INT32;
  if (descr == "<i8") return TIED_INT64;
  if (descr == "|b1") return TIED_BOOL;
  return 0;
}

const char* DescrOfType(tied_type type) {
  for (const char* descr : {"<f4", "<i4", "<i8", "|b1"}) {
    if (TypeOfDescr(descr) == type) return descr;
  }
  throw std::runtime_error("a tensor of " + std::string(TypeText(type)) + " cannot be written as .npy");
}

}  // namespace

size_t Array::size() const { return bytes.size() / ElementBytes(type); }

size_t ElementBytes(tied_type type) {
  switch (type) {
    case TIED_FLOAT32:
    case TIED_INT32:
      return 4;
    case TIED_INT64:
      return 8;
    case TIED_BOOL:
      return 1;
    default:
      return 0;
  }
}

Array MakeArray(tied_type type, std::vector<int64_t> shape) {
  Array array;
  size_t bytes = 0;
  if (!CountElements(shape, &bytes) || __builtin_mul_overflow(bytes, ElementBytes(type), &bytes) ||
      bytes > static_cast<size_t>(std::numeric_limits<ptrdiff_t>::max())) {
    throw std::bad_alloc();
  }
  array.type = type;
  array.shape = std::move(shape);
  array.bytes.resize(bytes);
  return array;
}

Array ReadNpy(const std::string& path) {
  Input input(path);
  NpyHeader header;
  std::string problem;
  if (!ReadNpyHeader([&](void* data, size_t count) { return input.Read(data, count); }, &header, &problem)) {
    input.Fail(problem);
  }
  Array array;
  array.type = TypeOfDescr(header.descr);
  array.shape = std::move(header.shape);
  if (ElementBytes(array.type) == 0) {
    input.Fail("has dtype " + Printable(header.descr) + "; expected <f4 (float32), <i4, <i8 or |b1");
  }
  if (header.fortran_order && array.shape.size() > 1) {
    input.Fail("is in Fortran order; expected C order (numpy.ascontiguousarray)");
  }
  size_t bytes = 0;
  if (!CountElements(array.shape, &bytes) || __builtin_mul_overflow(bytes, ElementBytes(array.type), &bytes)) {
    input.Fail("has shape " + ShapeText(array.shape) + ", which is too large for the address space");
  }
  array.bytes = ReadPayload(input, bytes);
  return array;
}

// Format version 1.0 (numpy/lib/format.py): magic, version, length of the header; data starts at a multiple of 64.
std::string NpyHeaderOf(const Array& array) {
  std::string text = "{'descr': '" + std::string(DescrOfType(array.type)) + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < array.shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(array.shape[i]);
  text += array.shape.size() == 1 ? ",), }" : "), }";
  constexpr size_t kPrefix = 10;
  text.append(63 - (kPrefix + text.size()) % 64, ' ');
  text += '\n';
  const char length[2] = {static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return std::string(kNpyMagic).append("\x01\x00", 2).append(length, 2) + text;
}

void WriteNpy(const Array& array, OutputFile* file) {
  const std::string header = NpyHeaderOf(array);
  file->Write(header.data(), header.size());
  file->Write(array.bytes.data(), array.bytes.size());
}

}  // namespace tied::cli
