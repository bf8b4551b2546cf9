// Lists of token ids in text: "5 7-9", separated by white space or commas; in a file, what is behind a # is a comment.
#ifndef TIED_CONVERTER_OUTPUT_ID_LIST_H_
#define TIED_CONVERTER_OUTPUT_ID_LIST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tied::converter {

// What editors on Windows put before a text in UTF-8; readers skip it.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct IdRange {
  uint32_t first;
  uint32_t last;  // included
};

// In the order of the text. Throws ConvertError, beginning with `where`, for what is no id below 2^31 and no range.
std::vector<IdRange> ParseIds(const std::string& text, const std::string& where);

// One Boolean for each id of the vocabulary: whether the file lists it. Throws ConvertError that names the line for an
// id outside of the vocabulary, too.
std::vector<bool> ReadIdFile(const std::string& path, uint64_t vocabulary);

// The listed ids as text that ReadIdFile() reads, a range or an id a line. ids: ascending.
std::string FormatIds(const std::vector<uint32_t>& ids);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_ID_LIST_H_
