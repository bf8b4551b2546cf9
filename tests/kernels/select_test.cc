#include <gtest/gtest.h>

#include "kernels/cpu.h"
#include "kernels/kernels.h"

namespace tied::test {
namespace {

using kernels::ChooseKernels;
using kernels::Kernels;

TEST(ChooseKernels, TakesTheSetThatIsNamed) {
  (void)kernels::CpuinfoWorks();
  for (const Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    EXPECT_EQ(ChooseKernels((*set)->isa), (*set)->available() ? *set : nullptr) << (*set)->isa;
  }
}

TEST(ChooseKernels, TakesNoneForAnUnknownName) { EXPECT_EQ(ChooseKernels("sse9"), nullptr); }

TEST(ChooseKernels, TakesTheFastestThatTheCpuHasOtherwise) {
  (void)kernels::CpuinfoWorks();
  const Kernels* fastest = nullptr;
  for (const Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    if ((*set)->available()) fastest = *set;
  }
  EXPECT_EQ(ChooseKernels(""), fastest);
  EXPECT_EQ(ChooseKernels(nullptr), fastest);
}

#if defined(__aarch64__)
// Also under an emulator, where cpuinfo cannot say so.
TEST(ChooseKernels, FindsNeonOnEvery64BitArm) { EXPECT_STRNE(ChooseKernels(nullptr)->isa, "scalar"); }
#endif

struct CpuinfoFile {
  const char* name;
  const char* text;
  bool arm;
};

void PrintTo(const CpuinfoFile& file, std::ostream* out) { *out << file.name; }

class DescribesArm : public testing::TestWithParam<CpuinfoFile> {};

TEST_P(DescribesArm, OnlyIfTheFileNamesTheImplementer) {
  EXPECT_EQ(kernels::DescribesArm(GetParam().text), GetParam().arm);
}

INSTANTIATE_TEST_SUITE_P(
    All, DescribesArm,
    testing::Values(
        CpuinfoFile{"arm64", "processor\t: 0\nBogoMIPS\t: 48.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n",
                    true},
        CpuinfoFile{"armv7", "Processor\t: ARMv7 rev 4\nprocessor\t: 0\n\nFeatures\t: neon\nCPU implementer\t: 0x41\n",
                    true},
        CpuinfoFile{"x86", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\n", false},
        CpuinfoFile{"empty", "", false}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tied::test
