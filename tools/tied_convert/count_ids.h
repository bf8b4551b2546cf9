// Counts token ids in text, and selects the ids to keep.
#ifndef TIED_TOOLS_TIED_CONVERT_COUNT_IDS_H_
#define TIED_TOOLS_TIED_CONVERT_COUNT_IDS_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace tied::converter {

class IdCounts {
 public:
  // Counts the ids in a file, "-" for standard input: decimal numbers separated by white space. Streams. Throws
  // ConvertError that names the line for anything else.
  void AddFile(const std::string& path);

  uint64_t distinct() const { return counts_.size(); }
  uint64_t total() const { return total_; }

  // Number of tokens with one of these ids. ids: ascending.
  uint64_t TokensOf(const std::vector<uint32_t>& ids) const;

  // The most frequent ids (lower ids first if equally frequent) that cover the share `coverage` (0 to 1) of all tokens;
  // ascending.
  std::vector<uint32_t> MostFrequent(double coverage) const;

  // The ids that occur at least `count` times; ascending.
  std::vector<uint32_t> AtLeast(uint64_t count) const;

 private:
  std::unordered_map<uint32_t, uint64_t> counts_;
  uint64_t total_ = 0;
};

}  // namespace tied::converter

#endif  // TIED_TOOLS_TIED_CONVERT_COUNT_IDS_H_
