// Products of rows of nibbles without scales.
#include <gtest/gtest.h>

#include <algorithm>
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

using Packed = std::unique_ptr<void, void (*)(void*)>;

Packed Pack(const Kernels& set, const std::vector<int16_t>& activations, size_t tokens) {
  const size_t cols = activations.size() / tokens;
  Packed packed(operator new (set.nibbles->token_bytes(cols) * tokens, std::align_val_t{64}),
                [](void* p) { operator delete (p, std::align_val_t{64}); });
  set.nibbles->pack(activations.data(), tokens, cols, packed.get());
  return packed;
}

// Some rows times some tokens: of all columns, and of ranges of them.
class Nibbles : public testing::TestWithParam<std::tuple<const Kernels*, size_t, size_t, size_t>> {
 protected:
  static constexpr size_t kStored = 50;

  Nibbles() {
    for (NibblePair& pair : table_) pair.both = static_cast<uint8_t>(random_() % 3 == 0 ? 255 : random_());
    for (int16_t& q : activations_) {
      const int any = static_cast<int>(random_() % (2 * kernels::kMaxActivation + 1)) - kernels::kMaxActivation;
      q = static_cast<int16_t>(random_() % 3 == 0 ? kernels::kMaxActivation : any);
    }
    for (int16_t& one : mask_) one = static_cast<int16_t>(random_() % 4 != 0);
    for (uint32_t& id : ids_) id = static_cast<uint32_t>(random_() % kStored);
  }

  void ExpectExact(const GuardedBuffer<NibblePair>& guarded, const void* packed, const void* mask, bool scattered,
                   size_t first, size_t count) const {
    const size_t first_row = scattered ? 0 : kStored - rows_;
    std::vector<uint32_t> sums(rows_ * tokens_), spreads(rows_), ignored(rows_ * tokens_);
    const kernels::NibbleRows rows = {guarded.data() + first_row * row_bytes_, scattered ? ids_.data() : nullptr, cols_,
                                      first, count};
    const kernels::NibbleSpreads of_mask = {mask, spreads.data()};
    set_->nibbles->dot(rows, rows_, packed, tokens_, sums.data(), rows_, &of_mask);
    set_->nibbles->dot(rows, rows_, packed, tokens_, ignored.data(), rows_, nullptr);
    EXPECT_EQ(sums, ignored);
    for (size_t r = 0; r < rows_; ++r) {
      const NibblePair* row = &table_[(scattered ? ids_[r] : first_row + r) * row_bytes_];
      const auto sum_of = [&](const auto& term) {
        int64_t sum = 0;
        for (size_t k = first; k < first + count; ++k) sum += term(row[k / 2].both >> (k % 2 * 4) & 15, k);
        return static_cast<uint32_t>(sum);
      };
      for (size_t t = 0; t < tokens_; ++t) {
        ASSERT_EQ(sums[t * rows_ + r], sum_of([&](int n, size_t k) { return n * activations_[t * cols_ + k]; }));
      }
      ASSERT_EQ(spreads[r], sum_of([&](int n, size_t k) { return ((2 * n - 15) * (2 * n - 15) - 1) / 8 * mask_[k]; }));
    }
  }

  const Kernels* const set_ = std::get<0>(GetParam());
  const size_t rows_ = std::get<1>(GetParam()), cols_ = std::get<2>(GetParam()), tokens_ = std::get<3>(GetParam());
  const size_t row_bytes_ = kernels::RowElements(static_cast<const NibblePair*>(nullptr), cols_);
  std::mt19937_64 random_{rows_ + cols_ + tokens_};
  std::vector<NibblePair> table_ = std::vector<NibblePair>(kStored * row_bytes_);
  std::vector<int16_t> activations_ = std::vector<int16_t>(tokens_ * cols_);
  std::vector<int16_t> mask_ = std::vector<int16_t>(cols_);
  std::vector<uint32_t> ids_ = std::vector<uint32_t>(rows_);
};

TEST_P(Nibbles, HaveExactProductsAndSpreadsModulo32Bits) {
  const Packed packed = Pack(*set_, activations_, tokens_), mask = Pack(*set_, mask_, 1);
  const GuardedBuffer guarded(table_);
  for (const bool scattered : {false, true}) {
    ExpectExact(guarded, packed.get(), mask.get(), scattered, 0, cols_);
    for (size_t first = 0; first < cols_; first += 3 * kernels::kNibbleRangeCols) {
      ExpectExact(guarded, packed.get(), mask.get(), scattered, first,
                  std::min(kernels::kNibbleRangeCols, cols_ - first));
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
