#include "base/npy_header.h"

#include <algorithm>
#include <charconv>

namespace tied {

namespace {

// NumPy's limit is 64 from version 2.0 on.
constexpr size_t kMaxRank = 64;

// A cursor over the text. Each Take… skips white space, then consumes the named token or changes nothing.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool Take(std::string_view token) {
    SkipSpace();
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  bool TakeString(std::string* value) {
    SkipSpace();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return false;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) return false;
    *value = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return true;
  }

  bool TakeSize(int64_t* value) {
    SkipSpace();
    const char* end = rest_.data() + rest_.size();
    const auto [stop, error] = std::from_chars(rest_.data(), end, *value);
    if (error != std::errc() || *value < 0) return false;
    rest_.remove_prefix(static_cast<size_t>(stop - rest_.data()));
    return true;
  }

  bool AtEnd() {
    SkipSpace();
    return rest_.empty();
  }

 private:
  void SkipSpace() {
    const size_t start = rest_.find_first_not_of(" \t\n");
    rest_.remove_prefix(start == std::string_view::npos ? rest_.size() : start);
  }

  std::string_view rest_;
};

bool ParseShape(Scanner& scanner, std::vector<int64_t>* shape) {
  if (!scanner.Take("(")) return false;
  while (!scanner.Take(")")) {
    int64_t dim;
    if (shape->size() == kMaxRank || !scanner.TakeSize(&dim)) return false;
    shape->push_back(dim);
    if (scanner.Take(",")) continue;
    return scanner.Take(")");
  }
  return true;
}

bool ParseFortranOrder(Scanner& scanner, bool* value) {
  *value = scanner.Take("True");
  return *value || scanner.Take("False");
}

// On failure, *problem says what was expected.
bool ParseDictionary(std::string_view text, NpyHeader* header, std::string* problem) {
  Scanner scanner(text);
  const auto fail = [problem](const char* expected) {
    *problem = std::string("expected ") + expected;
    return false;
  };
  bool have_descr = false, have_order = false, have_shape = false;
  if (!scanner.Take("{")) return fail("a dictionary");
  while (!scanner.Take("}")) {
    std::string key;
    if (!scanner.TakeString(&key) || !scanner.Take(":")) return fail("a key");
    bool* have = key == "descr" ? &have_descr : key == "fortran_order" ? &have_order : &have_shape;
    if (*have || (have == &have_shape && key != "shape"))
      return fail("'descr', 'fortran_order' and 'shape', once each");
    *have = true;
    if (have == &have_descr && !scanner.TakeString(&header->descr)) return fail("a simple dtype in 'descr'");
    if (have == &have_order && !ParseFortranOrder(scanner, &header->fortran_order)) return fail("True or False");
    if (have == &have_shape && !ParseShape(scanner, &header->shape)) return fail("a tuple of sizes in 'shape'");
    if (scanner.Take(",")) continue;
    if (!scanner.Take("}")) return fail("a comma or the end of the dictionary");
    break;
  }
  if (!scanner.AtEnd()) return fail("nothing after the dictionary");
  if (!have_descr || !have_order || !have_shape) return fail("'descr', 'fortran_order' and 'shape', once each");
  return true;
}

// The dictionary, which version 1.0 gives a length of 2 bytes and later versions one of 4.
bool ReadText(const NpyRead& read, std::string* text, std::string* problem) {
  const auto fail = [problem](const std::string& what) {
    *problem = what;
    return false;
  };
  unsigned char fixed[12];
  if (read(fixed, 10) != 10 || !std::equal(kNpyMagic.begin(), kNpyMagic.end(), reinterpret_cast<char*>(fixed))) {
    return fail("is not a .npy file");
  }
  const unsigned major = fixed[6];
  if (major < 1 || major > 3) return fail("has .npy format version " + std::to_string(major) + "; expected 1, 2 or 3");
  size_t length = fixed[8] | size_t{fixed[9]} << 8;
  if (major > 1) {
    if (read(fixed + 10, 2) != 2) return fail("is truncated in its header");
    length |= size_t{fixed[10]} << 16 | size_t{fixed[11]} << 24;
  }
  constexpr size_t kLongest = 1 << 16;
  if (length > kLongest)
    return fail("has a header of " + std::to_string(length) + " bytes; at most 65536 are supported");
  text->resize(length);
  if (read(text->data(), length) != length) return fail("is truncated in its header");
  return true;
}

}  // namespace

bool ReadNpyHeader(const NpyRead& read, NpyHeader* header, std::string* problem) {
  std::string text;
  if (!ReadText(read, &text, problem)) return false;
  if (ParseDictionary(text, header, problem)) return true;
  *problem = "has a bad .npy header: " + *problem;
  return false;
}

bool CountElements(const std::vector<int64_t>& shape, size_t* count) {
  *count = 1;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) *count = 0;
  if (*count == 0) return true;
  for (const int64_t dim : shape) {
    if (__builtin_mul_overflow(*count, dim, count)) return false;
  }
  return true;
}

}  // namespace tied
