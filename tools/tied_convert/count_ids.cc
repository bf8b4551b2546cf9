#include "tools/tied_convert/count_ids.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "converter/output/id_list.h"

namespace tied::converter {

namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct FileCloser {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

}  // namespace

void IdCounts::AddFile(const std::string& path) {
  const std::unique_ptr<std::FILE, FileCloser> file(path == "-" ? stdin : std::fopen(path.c_str(), "r"));
  if (file == nullptr) throw ConvertError(path + ": " + std::strerror(errno));
  uint64_t line = 1;
  uint64_t id = 0;
  bool in_id = false;
  const auto end_id = [&] {
    if (in_id) ++counts_[static_cast<uint32_t>(id)];
    total_ += in_id;
    in_id = false;
    id = 0;
  };
  std::vector<char> buffer(1u << 20);
  bool at_start = true;
  while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    const bool marked =
        at_start && std::string_view(buffer.data(), size).substr(0, kByteOrderMark.size()) == kByteOrderMark;
    at_start = false;
    for (const char* c = buffer.data() + (marked ? kByteOrderMark.size() : 0); c < buffer.data() + size; ++c) {
      if (IsSpace(*c)) {
        end_id();
        line += *c == '\n';
        continue;
      }
      id = 10 * id + static_cast<uint64_t>(*c - '0');
      in_id = true;
      if (*c >= '0' && *c <= '9' && id <= INT32_MAX) continue;
      throw ConvertError(path + ":" + std::to_string(line) + ": expected only token ids below 2^31");
    }
  }
  if (std::ferror(file.get())) throw ConvertError(path + ": " + std::strerror(errno));
  end_id();
}

uint64_t IdCounts::TokensOf(const std::vector<uint32_t>& ids) const {
  uint64_t tokens = 0;
  for (const uint32_t id : ids) {
    const auto found = counts_.find(id);
    if (found != counts_.end()) tokens += found->second;
  }
  return tokens;
}

std::vector<uint32_t> IdCounts::MostFrequent(double coverage) const {
  std::vector<std::pair<uint32_t, uint64_t>> order(counts_.begin(), counts_.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<uint32_t> ids;
  uint64_t tokens = 0;
  for (const auto& [id, count] : order) {
    if (static_cast<double>(tokens) >= coverage * static_cast<double>(total_)) break;
    ids.push_back(id);
    tokens += count;
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<uint32_t> IdCounts::AtLeast(uint64_t count) const {
  std::vector<uint32_t> ids;
  for (const auto& [id, found] : counts_) {
    if (found >= count) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace tied::converter
