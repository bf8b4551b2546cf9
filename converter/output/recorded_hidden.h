// Hidden states that an app has recorded.
#ifndef TIED_CONVERTER_OUTPUT_RECORDED_HIDDEN_H_
#define TIED_CONVERTER_OUTPUT_RECORDED_HIDDEN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tied::converter {

// Reads [tokens, cols] in float32, little-endian, raw or as .npy; at most `most_tokens`. Throws ConvertError if it is
// not a whole number of tokens, or none.
std::vector<float> ReadRecordedHidden(const std::string& path, uint64_t cols, size_t most_tokens);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_RECORDED_HIDDEN_H_
