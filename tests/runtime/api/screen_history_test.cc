#include <gtest/gtest.h>

#include "runtime/api/session.h"

namespace tied::test {
namespace {

constexpr size_t kTopk = 10;

// The calls that go without the screen before it is tried again.
size_t CallsWithout(runtime::ScreenHistory* history) {
  size_t calls = 0;
  while (!history->MayHelp(kTopk)) ++calls;
  return calls;
}

TEST(ScreenHistory, TriesLessOftenWhileTheScreenDoesNotHelp) {
  runtime::ScreenHistory history;
  EXPECT_EQ(CallsWithout(&history), 0u);
  for (const size_t expected : {1u, 3u, 7u, 15u, 31u, 32u, 32u}) {
    history.Record(false);
    EXPECT_EQ(CallsWithout(&history), expected);
  }
  history.Record(true);
  EXPECT_EQ(CallsWithout(&history), 0u);
  history.Record(false);
  EXPECT_EQ(CallsWithout(&history), 1u);
}

TEST(ScreenHistory, StartsAnewWithAnotherK) {
  runtime::ScreenHistory history;
  EXPECT_TRUE(history.MayHelp(kTopk));
  history.Record(false);
  EXPECT_TRUE(history.MayHelp(kTopk + 1));
}

}  // namespace
}  // namespace tied::test
