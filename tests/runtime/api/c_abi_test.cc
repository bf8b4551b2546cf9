#include <algorithm>

#include "tests/runtime/model_fixture.h"

extern "C" int tied_test_c_abi(const void* file, size_t bytes, int64_t* best);

namespace tied::test {
namespace {

TEST(CAbi, WorksFromC) {
  const TestModel model(19, 6);
  const std::string file = model.File();
  int64_t best = -1;
  ASSERT_EQ(tied_test_c_abi(file.data(), file.size(), &best), 0);
  const std::vector<float> logits = model.Logits({1, 0, 0, 0, 0, 0});
  EXPECT_EQ(best, std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace
}  // namespace tied::test
