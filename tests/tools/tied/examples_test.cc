// The C and C++ examples decode the same tokens as the oracle.
#include <algorithm>

#include "tests/tools/tied/command.h"

namespace tied::test {
namespace {

using Examples = CliTest;

TEST_F(Examples, Greedy) {
  for (const int64_t first : {0, 2, 18}) {
    std::string expected;
    int64_t id = first;
    for (int step = 0; step < 8; ++step) {
      expected += std::to_string(id) + "\n";
      std::vector<float> hidden = model_.Embed({id});
      std::rotate(hidden.begin(), hidden.begin() + 1, hidden.end());
      const std::vector<float> logits = model_.Logits(hidden);
      id = std::max_element(logits.begin(), logits.end()) - logits.begin();
    }
    EXPECT_EQ(Run({TIED_EXAMPLE_C, "model.tied", std::to_string(first)}).out, expected);
    EXPECT_EQ(Run({TIED_EXAMPLE_CPP, "model.tied", std::to_string(first)}).out, expected);
  }
}

TEST_F(Examples, Failures) {
  for (const char* program : {TIED_EXAMPLE_C, TIED_EXAMPLE_CPP}) {
    EXPECT_EQ(Run({program, "model.tied", "19"}).exit_code, 1);
    EXPECT_EQ(Run({program, "missing.tied"}).exit_code, 1);
    EXPECT_EQ(Run({program}).exit_code, 2);
  }
}

}  // namespace
}  // namespace tied::test
