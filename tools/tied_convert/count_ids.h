// How often each token id stands in text, and which ids are worth a row.
#ifndef TIED_TOOLS_TIED_CONVERT_COUNT_IDS_H_
#define TIED_TOOLS_TIED_CONVERT_COUNT_IDS_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace tied::converter {

class IdCounts {
 public:
  // Adds the ids in a file, "-" for standard input: decimal numbers between white space. Streams. Throws ConvertError
  // that names the line for anything else.
  void AddFile(const std::string& path);

  uint64_t distinct() const { return counts_.size(); }
  uint64_t total() const { return total_; }

  // How many tokens have one of these ids. ids: ascending.
  uint64_t TokensOf(const std::vector<uint32_t>& ids) const;

  // The most frequent ids, of equally frequent ones the lower, until `coverage` (0 to 1) of all tokens have one of
  // them; ascending.
  std::vector<uint32_t> MostFrequent(double coverage) const;

  // The ids that occur so often; ascending.
  std::vector<uint32_t> AtLeast(uint64_t count) const;

 private:
  std::unordered_map<uint32_t, uint64_t> counts_;
  uint64_t total_ = 0;
};

}  // namespace tied::converter

#endif  // TIED_TOOLS_TIED_CONVERT_COUNT_IDS_H_
