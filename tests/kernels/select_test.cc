#include <cpuinfo.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "kernels/kernels.h"

namespace tied::test {
namespace {

using kernels::Kernels;

// The choice is made once in a process, so each case has one of its own: exit code 0 if `expected` was chosen.
[[noreturn]] void ExitWithChoice(const char* forced, const Kernels* expected) {
  setenv("TIED_ISA", forced, 1);
  std::exit(kernels::SelectKernels() == expected ? 0 : 1);
}

TEST(SelectKernelsDeathTest, TakesTheSetThatTheEnvironmentNames) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  ASSERT_TRUE(cpuinfo_initialize());
  for (const Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    EXPECT_EXIT(ExitWithChoice((*set)->isa, (*set)->available() ? *set : nullptr), testing::ExitedWithCode(0), "")
        << (*set)->isa;
  }
}

TEST(SelectKernelsDeathTest, TakesNoneForAnUnknownName) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(ExitWithChoice("sse9", nullptr), testing::ExitedWithCode(0), "");
}

TEST(SelectKernelsDeathTest, TakesTheFastestThatTheCpuHasOtherwise) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  ASSERT_TRUE(cpuinfo_initialize());
  const Kernels* fastest = nullptr;
  for (const Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    if ((*set)->available()) fastest = *set;
  }
  EXPECT_EXIT(ExitWithChoice("", fastest), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tied::test
