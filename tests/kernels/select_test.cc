#include <cpuinfo.h>
#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace tied::test {
namespace {

using kernels::ChooseKernels;
using kernels::Kernels;

TEST(ChooseKernels, TakesTheSetThatIsNamed) {
  ASSERT_TRUE(cpuinfo_initialize());
  for (const Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    EXPECT_EQ(ChooseKernels((*set)->isa), (*set)->available() ? *set : nullptr) << (*set)->isa;
  }
}

TEST(ChooseKernels, TakesNoneForAnUnknownName) { EXPECT_EQ(ChooseKernels("sse9"), nullptr); }

TEST(ChooseKernels, TakesTheFastestThatTheCpuHasOtherwise) {
  ASSERT_TRUE(cpuinfo_initialize());
  const Kernels* fastest = nullptr;
  for (const Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    if ((*set)->available()) fastest = *set;
  }
  EXPECT_EQ(ChooseKernels(""), fastest);
  EXPECT_EQ(ChooseKernels(nullptr), fastest);
}

}  // namespace
}  // namespace tied::test
