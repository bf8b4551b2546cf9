// With TIED_ISA set, all tests of this program use those kernels, or are skipped if this CPU does not support them.
#include <gtest/gtest.h>
#include <tied/tied.h>

#include <cstdlib>
#include <string>

namespace tied::test {
namespace {

std::string Forced() {
  const char* isa = std::getenv("TIED_ISA");
  return isa == nullptr ? "" : isa;
}

class ForcedKernels : public testing::Environment {
 public:
  void SetUp() override {
    for (size_t i = 0; i < tied_kernel_count(); ++i) {
      tied_kernel_info info;
      ASSERT_EQ(tied_kernel_get_info(i, &info, nullptr), TIED_OK);
      if (info.isa == Forced() && !info.available) GTEST_SKIP() << "this CPU does not support " << info.isa;
    }
  }
};

[[maybe_unused]] testing::Environment* const kForced = testing::AddGlobalTestEnvironment(new ForcedKernels);

TEST(Kernels, AreThoseOfTheEnvironment) {
  int selected = 0;
  for (size_t i = 0; i < tied_kernel_count(); ++i) {
    tied_kernel_info info;
    ASSERT_EQ(tied_kernel_get_info(i, &info, nullptr), TIED_OK);
    if (!info.selected) continue;
    ++selected;
    EXPECT_TRUE(info.available);
    if (!Forced().empty()) {
      EXPECT_EQ(info.isa, Forced());
    }
  }
  EXPECT_EQ(selected, 1);
}

}  // namespace
}  // namespace tied::test
