// Lists of token ids as text: "5 7-9", separated by white space or commas. In a file, # starts a comment.
#ifndef TIED_CONVERTER_OUTPUT_ID_LIST_H_
#define TIED_CONVERTER_OUTPUT_ID_LIST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tied::converter {

// Editors on Windows put it before UTF-8 text; readers skip it.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct IdRange {
  uint32_t first;
  uint32_t last;  // inclusive
};

// Returns the ranges in the order of the text. Throws ConvertError, with a message that starts with `where`, for
// anything that is neither an id below 2^31 nor a range.
std::vector<IdRange> ParseIds(const std::string& text, const std::string& where);

// Returns for each id of the vocabulary whether the file lists it. Throws ConvertError that names the line, also for an
// id outside the vocabulary.
std::vector<bool> ReadIdFile(const std::string& path, uint64_t vocabulary);

// The ids as text for ReadIdFile(), one range or id per line. ids: ascending.
std::string FormatIds(const std::vector<uint32_t>& ids);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_ID_LIST_H_
