#include "converter/output/id_list.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include "base/error.h"

namespace tied::converter {

namespace {

constexpr char kSeparators[] = " \t\r\n\v\f,";

// Reads an id from [*next, end) and moves *next past it. Returns false if there is none.
bool TakeId(const char** next, const char* end, uint32_t* id) {
  const auto [behind, error] = std::from_chars(*next, end, *id);
  *next = behind;
  return error == std::errc() && *id <= INT32_MAX;
}

// A line with all ids of the largest vocabularies fits.
constexpr size_t kMaxLineBytes = size_t{1} << 24;
constexpr size_t kQuotedBytes = 64;

std::string Quoted(const std::string& word) {
  return "'" + (word.size() <= kQuotedBytes ? word : word.substr(0, kQuotedBytes) + "...") + "'";
}

// Like std::getline(), but leaves the rest of a line that is too long; *line is then longer than kMaxLineBytes.
bool ReadLine(std::istream& file, std::string* line) {
  line->clear();
  for (char byte; line->size() <= kMaxLineBytes && file.get(byte);) {
    if (byte == '\n') return true;
    *line += byte;
  }
  return !line->empty();
}

}  // namespace

std::vector<IdRange> ParseIds(const std::string& text, const std::string& where) {
  std::vector<IdRange> ranges;
  for (size_t begin = text.find_first_not_of(kSeparators); begin != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, begin), text.size());
    const char* next = text.data() + begin;
    const char* const word_end = text.data() + end;
    IdRange range = {};
    bool valid = TakeId(&next, word_end, &range.first);
    range.last = range.first;
    if (valid && next < word_end) valid = *next++ == '-' && TakeId(&next, word_end, &range.last);
    if (!valid || next < word_end || range.last < range.first) {
      throw ConvertError(where + ": " + Quoted(text.substr(begin, end - begin)) + " is neither a token id nor a range");
    }
    ranges.push_back(range);
    begin = text.find_first_not_of(kSeparators, end);
  }
  return ranges;
}

std::vector<bool> ReadIdFile(const std::string& path, uint64_t vocabulary) {
  std::ifstream file(path);
  std::vector<bool> listed(static_cast<size_t>(vocabulary));
  std::string line;
  for (size_t number = 1; ReadLine(file, &line); ++number) {
    if (number == 1 && line.rfind(kByteOrderMark, 0) == 0) line.erase(0, kByteOrderMark.size());
    const std::string where = path + ":" + std::to_string(number);
    if (line.size() > kMaxLineBytes) {
      throw ConvertError(where + ": has more than " + std::to_string(kMaxLineBytes) + " bytes");
    }
    for (const IdRange& range : ParseIds(line.substr(0, line.find('#')), where)) {
      if (range.last >= vocabulary) {
        throw ConvertError(where + ": token id " + std::to_string(range.last) + " is not in [0, " +
                           std::to_string(vocabulary) + ")");
      }
      std::fill(listed.begin() + range.first, listed.begin() + range.last + 1, true);
    }
  }
  if (!file.eof()) throw ConvertError(path + ": cannot be read");
  return listed;
}

std::string FormatIds(const std::vector<uint32_t>& ids) {
  std::string text;
  for (size_t i = 0; i < ids.size();) {
    size_t last = i;
    while (last + 1 < ids.size() && ids[last + 1] == ids[last] + 1) ++last;
    text += std::to_string(ids[i]) + (last > i ? "-" + std::to_string(ids[last]) : "") + "\n";
    i = last + 1;
  }
  return text;
}

}  // namespace tied::converter
