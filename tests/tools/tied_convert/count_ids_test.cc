#include "tools/tied_convert/count_ids.h"

#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

class Counts : public ConversionTest {
 protected:
  void Add(const std::string& text) {
    std::ofstream(Path("ids.txt")) << text;
    counts_.AddFile(Path("ids.txt"));
  }

  converter::IdCounts counts_;
};

TEST_F(Counts, ChooseTheMostFrequent) {
  Add("7 7 7 7 5 5 9\n9 2147483647");
  Add("\t3\r\n3");
  EXPECT_EQ(counts_.total(), 11u);
  EXPECT_EQ(counts_.distinct(), 5u);
  EXPECT_EQ(counts_.MostFrequent(0), std::vector<uint32_t>());
  EXPECT_EQ(counts_.MostFrequent(4.0 / 11), std::vector<uint32_t>({7}));
  EXPECT_EQ(counts_.MostFrequent(7.0 / 11), std::vector<uint32_t>({3, 5, 7}));
  EXPECT_EQ(counts_.MostFrequent(1), std::vector<uint32_t>({3, 5, 7, 9, 2147483647}));
  EXPECT_EQ(counts_.AtLeast(2), std::vector<uint32_t>({3, 5, 7, 9}));
  EXPECT_EQ(counts_.TokensOf({5, 6, 7}), 6u);
}

// Ids that are split between two blocks of the reader.
TEST_F(Counts, AreRightInLargeFiles) {
  std::string text;
  for (int i = 0; i < 400000; ++i) text += std::to_string(i % 100000) + " ";
  Add(text);
  EXPECT_EQ(counts_.total(), 400000u);
  EXPECT_EQ(counts_.AtLeast(4).size(), 100000u);
}

TEST_F(Counts, SkipAByteOrderMark) {
  Add("\xEF\xBB\xBF"
      "7 7 5");
  EXPECT_EQ(counts_.AtLeast(1), std::vector<uint32_t>({5, 7}));
}

TEST_F(Counts, RefuseWhatIsNoId) {
  for (const std::string text : {"1 2\n3 -4", "1 2\n2147483648", "1 2\nx", "1 2\n99999999999999999999999",
                                 "1 2\n\xEF\xBB\xBF"
                                 "3"}) {
    try {
      Add(text);
      ADD_FAILURE() << text;
    } catch (const converter::ConvertError& error) {
      EXPECT_NE(std::string(error.what()).find("ids.txt:2: "), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(counts_.AddFile(Path("missing.txt")), converter::ConvertError);
}

}  // namespace
}  // namespace tied::test
