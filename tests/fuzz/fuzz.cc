#include "tests/fuzz/fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/use_model.h"

namespace tied::test {

namespace fs = std::filesystem;

void Require(bool holds, const std::string& promise) {
  if (holds) return;
  std::fprintf(stderr, "promise does not hold: %s\n", promise.c_str());
  std::abort();
}

Folder::Folder() : path_((fs::temp_directory_path() / "tied_fuzz_XXXXXX").string()) {
  Require(mkdtemp(path_.data()) != nullptr, "a temporary folder");
}

Folder::~Folder() { fs::remove_all(path_); }

void Folder::Write(const std::string& name, const std::string& content) const {
  std::ofstream(Path(name), std::ios::binary) << content;
}

std::string Folder::Read(const std::string& name) const {
  std::ifstream file(Path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> Folder::Files() const {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_)) names.insert(entry.path().filename().string());
  return names;
}

void UseSafely(const std::string& file, bool must_open) {
  const Use use = UseModel(file);
  Require(use.wrong.empty(), use.wrong);
  Require(use.opened == TIED_OK || !must_open, "a written file opens: " + use.message);
}

}  // namespace tied::test
