// Products of rows of nibbles without scales.
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/activations.h"
#include "kernels/kernels.h"
#include "tests/kernels/guarded_buffer.h"
#include "tests/kernels/sets.h"

namespace tied::test {
namespace {

using kernels::Kernels;
using kernels::NibblePair;

std::vector<const Kernels*> AllSets() {
  std::vector<const Kernels*> sets = VectorSets();
  sets.push_back(&Scalar());
  return sets;
}

class Nibbles : public testing::TestWithParam<std::tuple<const Kernels*, size_t, size_t, size_t>> {};

TEST_P(Nibbles, HaveTheExactProductModulo32Bits) {
  const auto [set, rows, cols, tokens] = GetParam();
  constexpr size_t kStored = 50;
  std::mt19937_64 random(rows + cols + tokens);
  const size_t row_bytes = kernels::RowElements(static_cast<const NibblePair*>(nullptr), cols);
  std::vector<NibblePair> table(kStored * row_bytes);
  for (NibblePair& pair : table) pair.both = static_cast<uint8_t>(random() % 3 == 0 ? 255 : random());
  std::vector<int16_t> activations(tokens * cols);
  for (int16_t& q : activations) {
    const int any = static_cast<int>(random() % (2 * kernels::kMaxActivation + 1)) - kernels::kMaxActivation;
    q = static_cast<int16_t>(random() % 3 == 0 ? kernels::kMaxActivation : any);
  }
  const std::unique_ptr<void, void (*)(void*)> packed(operator new (set->nibbles->token_bytes(cols) * tokens,
                                                                    std::align_val_t{64}),
                                                      [](void* p) { operator delete (p, std::align_val_t{64}); });
  set->nibbles->pack(activations.data(), tokens, cols, packed.get());
  std::vector<uint32_t> ids(rows);
  for (uint32_t& id : ids) id = static_cast<uint32_t>(random() % kStored);
  const GuardedBuffer guarded(table);
  for (const bool scattered : {false, true}) {
    std::vector<uint32_t> sums(rows * tokens);
    set->nibbles->dot(
        {guarded.data() + (scattered ? 0 : (kStored - rows) * row_bytes), scattered ? ids.data() : nullptr}, rows, cols,
        packed.get(), tokens, sums.data(), rows);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t r = 0; r < rows; ++r) {
        const NibblePair* row = &table[(scattered ? ids[r] : kStored - rows + r) * row_bytes];
        int64_t expected = 0;
        for (size_t k = 0; k < cols; ++k) expected += (row[k / 2].both >> (k % 2 * 4) & 15) * activations[t * cols + k];
        ASSERT_EQ(sums[t * rows + r], static_cast<uint32_t>(expected)) << "row " << r << ", token " << t;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Nibbles,
                         testing::Combine(testing::ValuesIn(AllSets()), testing::Values(1u, 2u, 5u, 8u, 33u),
                                          testing::Values(1u, 31u, 32u, 33u, 64u, 100u, 128u, 1000u, 8192u),
                                          testing::Values(1u, 2u, 3u, 8u)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)->isa) + "_" +
                                  std::to_string(std::get<1>(test.param)) + "x" +
                                  std::to_string(std::get<2>(test.param)) + "_" +
                                  std::to_string(std::get<3>(test.param)) + "tokens";
                         });

}  // namespace
}  // namespace tied::test
