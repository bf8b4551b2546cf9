// Headers of safetensors files that the format's library also refuses.
#include <cstdint>
#include <fstream>

#include "tests/converter/safetensors/model_files.h"

namespace tied::test {
namespace {

// A table of F32 [3, 1] with the right name, followed by arbitrary text in the header.
struct Header {
  const char* name;
  std::string text;
  size_t bytes;  // of values
  const char* words;
};
std::ostream& operator<<(std::ostream& out, const Header& header) { return out << header.name; }

std::string Entry(const std::string& name, int begin, int end) {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string((end - begin) / 4) +
         ",1],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}
const std::string kTable = Entry("model.embed_tokens.weight", 0, 12);

const Header kHeaders[] = {
    {"Right", "{" + kTable + "," + Entry("b", 12, 16) + "}", 16, ""},
    {"RightWithBlanksBehind", "{" + kTable + "}   ", 12, ""},
    {"RightWithAnEmptyTensor", "{" + kTable + "," + Entry("b", 12, 12) + "}", 12, ""},
    {"RightWithMetadata", "{\"__metadata__\":{\"format\":\"pt\"}," + kTable + "}", 12, ""},
    {"Overlap", "{" + kTable + "," + Entry("b", 8, 16) + "}", 16, "'b' overlaps the one before it"},
    {"SameRange", "{" + kTable + "," + Entry("b", 0, 12) + "}", 12, "overlaps the one before it"},
    {"Hole", "{" + kTable + "," + Entry("b", 16, 20) + "}", 20, "'b' leaves a hole before it"},
    {"HoleAtTheBeginning", "{" + Entry("model.embed_tokens.weight", 4, 16) + "}", 16, "leaves a hole before it"},
    {"TrailingBytes", "{" + kTable + "}", 13, "has 1 bytes after the last tensor"},
    {"ByteOrderMark", "\xEF\xBB\xBF{" + kTable + "}", 12, "does not start with '{'"},
    {"BlankBefore", " {" + kTable + "}", 12, "does not start with '{'"},
    {"Array", "[]", 0, "does not start with '{'"},
    {"TensorTwice", "{" + kTable + "," + kTable + "}", 12, "has two members named 'model.embed_tokens.weight'"},
    {"TensorTwiceByAnEscape", "{" + kTable + "," + Entry("model.embed_tokens\\u002eweight", 0, 12) + "}", 12,
     "has two members named"},
    {"MemberTwice", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
     "has two members named 'dtype'"},
    {"ThreeOffsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0,0]}}", 0, "are not two numbers"},
    {"MetadataOfNumbers", "{\"__metadata__\":{\"a\":1}," + kTable + "}", 12, "does not map names to texts"},
    {"Garbage", "{" + kTable + "}x", 12, "is not a JSON object"},
    {"Unfinished", "{" + kTable, 12, "is not a JSON object"},
    {"Deep", "{\"a\":" + std::string(20, '['), 0, "is nested too deeply"},
};

class Headers : public SafetensorsTest, public testing::WithParamInterface<Header> {};

TEST_P(Headers, AreReadOrRefusedAsTheReferenceDoes) {
  const uint64_t length = GetParam().text.size();
  std::ofstream(Path("model.safetensors"), std::ios::binary)
      << std::string(reinterpret_cast<const char*>(&length), sizeof length) << GetParam().text
      << std::string(GetParam().bytes, '\1');
  std::ofstream(Path("config.json")) << Json{{"model_type", "gemma"}};
  const std::string message = Refusal(Path("model.safetensors"));
  EXPECT_NE(message.find(GetParam().words), std::string::npos) << message;
  EXPECT_EQ(message.empty(), *GetParam().words == '\0') << message;
}

INSTANTIATE_TEST_SUITE_P(All, Headers, testing::ValuesIn(kHeaders),
                         [](const auto& header) { return std::string(header.param.name); });

}  // namespace
}  // namespace tied::test
