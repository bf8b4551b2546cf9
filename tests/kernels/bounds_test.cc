// Bounds of screened logits, and exponentials: every set has the bits of the scalar set.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/exponentials.h"
#include "kernels/kernels.h"
#include "tests/kernels/sets.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using kernels::kBoundColumns;
using kernels::Kernels;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kStored = 700;  // rows, some more than the kernels take at a time

class Bounds : public testing::TestWithParam<std::tuple<const Kernels*, size_t, bool>> {
 protected:
  Bounds() {
    for (size_t r = 0; r < kStored; ++r) {
      sums_.push_back(static_cast<uint32_t>(random_() % 4096));
      spreads_.push_back(static_cast<uint32_t>(random_() % 4096));
      offsets_.push_back(Number());
      scales_.push_back(Number());
      upper_norms_.push_back(Odd(r, std::fabs(Number())));
      norms_.push_back(std::fabs(Number()) / 16);
      column_scales_.push_back(Odd(r + 3, Number()));
      biases_.push_back(Number());
      ids_.push_back(static_cast<uint32_t>(random_() % kStored));
    }
    for (size_t i = 0; i < kStored * kBoundColumns; ++i) values_.push_back(static_cast<int8_t>(random_()));
    for (int16_t& column : columns_) column = static_cast<int16_t>(random_() % 65025 - 32512);
  }

  float Number() { return std::normal_distribution<float>()(random_); }
  static float Odd(size_t r, float number) {
    constexpr float kOdd[] = {kNan, INFINITY, -INFINITY, -1, 0, 1e-42f, 3e38f};
    return r % 11 < std::size(kOdd) ? kOdd[r % 11] : number;
  }

  std::vector<int32_t> ColumnSums(const Kernels& set, const uint32_t* ids) const {
    std::vector<int32_t> sums(count_);
    set.nibbles->bounds->column_sums(values_.data(), ids, count_, columns_, sums.data());
    return sums;
  }

  // The bounds of all three kinds, and the approximate logits.
  std::vector<float> Run(const Kernels& set) const {
    const std::vector<int32_t> column_sums = ColumnSums(set, nullptr);
    const kernels::BoundTerms terms = {8 * 123, 0.25f, 2, 0.5f, 0.125f, 40, 1e-30f, 1e3f};
    const kernels::BoundRows rows = {sums_.data(),          offsets_.data(),
                                     scales_.data(),        upper_norms_.data(),
                                     norms_.data(),         extras_ ? column_sums.data() : nullptr,
                                     column_scales_.data(), extras_ ? biases_.data() : nullptr};
    kernels::LowerSums lower = {spreads_.data(), spreads_.data(), 8 * 50, 3, 64, 1.5f};
    std::vector<float> bounds(4 * count_);
    float* const at = bounds.data();
    set.nibbles->bounds->from_upper(terms, rows, count_, at, at + count_);
    set.nibbles->bounds->from_part(terms, rows, lower, count_, at + 2 * count_);
    lower.spreads = nullptr;
    set.nibbles->bounds->from_both(terms, rows, lower, count_, at + 3 * count_);
    return bounds;
  }

  const Kernels& set_ = *std::get<0>(GetParam());
  const size_t count_ = std::get<1>(GetParam());
  const bool extras_ = std::get<2>(GetParam());  // calibrated columns and biases
  std::mt19937_64 random_{count_};
  std::vector<uint32_t> sums_, spreads_, ids_;
  std::vector<float> offsets_, scales_, upper_norms_, norms_, column_scales_, biases_;
  std::vector<int8_t> values_;
  int16_t columns_[kBoundColumns];
};

TEST_P(Bounds, HaveTheBitsOfTheScalarSet) {
  EXPECT_EQ(FirstDifference(Run(set_), Run(Scalar())), -1);
  EXPECT_EQ(ColumnSums(set_, ids_.data()), ColumnSums(Scalar(), ids_.data()));
}

TEST_P(Bounds, AreInfiniteWhereThereIsNone) {
  const std::vector<float> bounds = Run(set_);
  for (size_t r = 0; r < count_; ++r) {
    const bool lies = !(upper_norms_[r] >= 0);
    const bool far = extras_ && !(std::fabs(column_scales_[r]) < 1e3f);
    for (size_t kind = 1; kind < 4; ++kind) {
      const float bound = bounds[kind * count_ + r];
      EXPECT_FALSE(std::isnan(bound)) << r;
      EXPECT_TRUE(bound == INFINITY || !(lies || far)) << r;
    }
  }
}

TEST_P(Bounds, LargestLeavesOutNan) {
  std::vector<float> values;
  for (size_t r = 0; r < count_; ++r) values.push_back(r % 5 == 1 ? kNan : Number());
  float expected = -INFINITY;
  for (const float value : values) expected = value > expected ? value : expected;
  EXPECT_EQ(set_.nibbles->bounds->largest(values.data(), count_), expected);
}

TEST_P(Bounds, ExponentialsAreThoseOfTheLibrary) {
  std::vector<double> x, expected;
  for (size_t i = 0; i < count_; ++i) x.push_back(i % 7 == 0 ? -INFINITY : -std::fabs(Number() * 100));
  for (size_t i = 0; i < count_ && extras_; i += 13) x[i] = -0.0;
  std::vector<double> scalar = x, exps = x;
  set_.exps(exps.data(), count_);
  Scalar().exps(scalar.data(), count_);
  EXPECT_EQ(FirstDifference(exps, scalar), -1);
  for (size_t i = 0; i < count_; ++i) EXPECT_NEAR(exps[i], std::exp(x[i]), 0x1p-49 * std::exp(x[i]) + 0x1p-1019);
}

INSTANTIATE_TEST_SUITE_P(All, Bounds,
                         testing::Combine(testing::ValuesIn(AllSets()),
                                          testing::Values(0, 1, 5, 16, 63, 64, 300, kStored), testing::Bool()),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)->isa) + "_" +
                                  std::to_string(std::get<1>(test.param)) +
                                  (std::get<2>(test.param) ? "_with_all" : "");
                         });

}  // namespace
}  // namespace tied::test
