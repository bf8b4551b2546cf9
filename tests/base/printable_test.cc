#include "base/printable.h"

#include <gtest/gtest.h>

namespace tied::test {
namespace {

struct Text {
  const char* name;
  std::string from;
  std::string to;
};

class PrintableText : public testing::TestWithParam<Text> {};

TEST_P(PrintableText, HasNoCommands) { EXPECT_EQ(Printable(GetParam().from), GetParam().to); }

INSTANTIATE_TEST_SUITE_P(
    Texts, PrintableText,
    testing::Values(Text{"Empty", "", ""}, Text{"Ascii", "model.shared/weight", "model.shared/weight"},
                    Text{"Characters", "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                         "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
                    Text{"Controls", std::string("a\0b\x1b[2J\n\x7f", 9), "a?b?[2J??"},
                    Text{"C1", "\xc2\x9b[3J\xc2\x80", "??[3J??"}, Text{"C1Alone", "\x9b[3J", "?[3J"},
                    Text{"Overlong", "\xc0\x9b\xe0\x82\x9b\xf0\x80\x82\x9b", "?????????"},
                    Text{"Surrogate", "\xed\xa0\x80", "???"}, Text{"BehindTheLast", "\xf4\x90\x80\x80\xf5", "?????"},
                    Text{"CutOff", "a\xe2\x82", "a??"}, Text{"CutOffBeforeAscii", "\xe2\x82z", "??z"},
                    Text{"Latin1", "caf\xe9 au", "caf? au"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tied::test
