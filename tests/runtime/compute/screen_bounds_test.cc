// Attacks each term of the bounds of a screen: tables and hidden states for which that term is as large as it can be,
// and the others small. A bound without the term is then below the logit. Three terms cannot be attacked, because
// others are always larger: the roundings of float64 sums, of float32 products of calibrated columns, and of the share
// of a norm that was read.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "kernels/kernels.h"
#include "runtime/compute/head.h"
#include "runtime/compute/partial_screen.h"
#include "runtime/compute/screen.h"

namespace tied::runtime {
namespace {

constexpr size_t kRows = 64, kTokens = 4;
constexpr int kMost = kernels::kMaxActivation;

float NormAbove(long double squares) {
  const auto norm = static_cast<float>(std::sqrt(squares));
  return squares == 0 ? 0 : std::nextafter(norm, INFINITY);
}

// Rows as an attack makes them. Norms are computed from them, and so are always right.
struct Attacked {
  explicit Attacked(size_t columns)
      : cols(columns), values(kRows * cols), integers(kRows * cols), hidden(kTokens * cols), bias(kRows) {}

  void ForEach(const std::function<void(size_t row, size_t col, float* value, int* integer)>& visit) {
    for (size_t i = 0; i < values.size(); ++i) visit(i / cols, i % cols, &values[i], &integers[i]);
  }
  // hidden[t, k] = step * activation, of which the largest must be kMost.
  void SetHidden(double step, const std::function<double(size_t token, size_t col)>& activation) {
    for (size_t i = 0; i < hidden.size(); ++i) {
      hidden[i] = static_cast<float>(step * activation(i / cols, i % cols));
    }
  }

  size_t cols;
  std::vector<float> values;  // of a float table
  std::vector<int> integers;  // 0 … 255, minus 128 and times the scale
  std::vector<float> hidden;
  std::vector<float> bias;
  float scale = 0x1p-7f;
  std::vector<float> scales;  // if not empty, a row each
  bool quantised = false;     // int8, with zero points of -128
  float column_scale = 0;     // not 0: the first 16 columns are calibrated
  std::vector<int8_t> column_values = std::vector<int8_t>(kRows * kScreenColumns);
};

float UpperLevel(int integer) { return static_cast<float>((integer & ~15) - 128) + 7.5f; }

// The attacked rows as a table.
class Table {
 public:
  explicit Table(const Attacked& attacked)
      : attacked_(attacked), scales_(attacked.scales), zeros_(kRows, 128), column_scales_(kRows) {
    scales_.resize(kRows, attacked.scale);
    const size_t row_bytes = (attacked.cols + 31) / 32 * 16;
    upper_.resize(kRows * row_bytes);
    lower_.resize(kRows * row_bytes);
    for (size_t r = 0; r < kRows; ++r) SetRow(r, row_bytes);
    const bool calibrated = attacked.column_scale != 0;
    column_scales_.assign(kRows, attacked.column_scale);
    for (uint32_t k = 0; k < kScreenColumns; ++k) columns_.push_back(k);
    view_.type = attacked.quantised ? TIED_INT8 : TIED_FLOAT32;
    view_.values = reinterpret_cast<const unsigned char*>(attacked.values.data());
    view_.rows = kRows;
    view_.cols = attacked.cols;
    view_.row_bytes = attacked.quantised ? 2 * row_bytes : attacked.cols * sizeof(float);
    view_.scales = attacked.quantised ? scales_.data() : nullptr;
    view_.zero_points = attacked.quantised ? zeros_.data() : nullptr;
    view_.scales_per_row = 1;
    view_.screen = {upper_.data(),
                    lower_.data(),
                    row_bytes,
                    attacked.quantised ? nullptr : scales_.data(),
                    upper_norms_.data(),
                    attacked.quantised ? nullptr : norms_.data(),
                    calibrated ? columns_.data() : nullptr,
                    calibrated ? attacked.column_values.data() : nullptr,
                    calibrated ? column_scales_.data() : nullptr};
    view_.rows_of_file.descriptor = -1;
  }
  const TableView& view() const { return view_; }

 private:
  void SetRow(size_t row, size_t row_bytes) {
    long double upper_squares = 0, squares = 0;
    for (size_t k = 0; k < attacked_.cols; ++k) {
      const size_t i = row * attacked_.cols + k;
      const int integer = attacked_.integers[i];
      const size_t at = row * row_bytes + k / 2;
      const size_t shift = k % 2 * 4;
      upper_[at] = static_cast<unsigned char>(upper_[at] | (integer >> 4) << shift);
      lower_[at] = static_cast<unsigned char>(lower_[at] | (integer & 15) << shift);
      if (attacked_.column_scale != 0 && k < kScreenColumns) continue;
      const long double scale = scales_[row], exact = scale * (integer - 128);
      const long double value = attacked_.quantised ? exact : static_cast<long double>(attacked_.values[i]);
      upper_squares += std::pow(value - scale * UpperLevel(integer), 2.0L);
      squares += std::pow(value - exact, 2.0L);
    }
    upper_norms_.push_back(NormAbove(upper_squares));
    norms_.push_back(NormAbove(squares));
  }

  const Attacked& attacked_;
  std::vector<unsigned char> upper_, lower_;
  std::vector<float> scales_, upper_norms_, norms_;
  std::vector<unsigned char> zeros_;
  std::vector<float> column_scales_;
  std::vector<uint32_t> columns_;
  TableView view_ = {};
};

// How far a logit is above the middle of its bounds, as a share of what they allow: at most 1. The largest of all rows
// and tokens; a bound that holds only just is near 1.
struct Shares {
  double upper = 0;
  double full = 0;
};

class Bounds {
 public:
  Bounds(const kernels::Kernels* kernels, const Attacked& attacked, const Table& table) {
    batch_ = {kernels, table.view(), attacked.bias.data(), 0, attacked.hidden.data(), &packed_,
              kTokens, {},           &cancelled_};
    EXPECT_TRUE(packed_.Reserve(table.view(), kTokens, true).ok());
    EXPECT_TRUE(scratch_.Reserve(table.view(), kTokens, 1));
    logits_.resize(kTokens * kRows);
    PackForTable(batch_);
    RunRows(batch_, 0, kRows, logits_.data(), kRows);
  }

  Shares Check() {
    Screen screen(nullptr, batch_, &scratch_);
    PartialScreen partial(batch_, screen, scratch_);
    screen.ReadUpper();
    Shares shares;
    for (size_t t = 0; t < kTokens; ++t) {
      float middles[kRows], uppers[kRows];
      screen.UpperBounds(t, 0, kRows, uppers, middles);
      Compare(t, uppers, middles, &shares.upper);
      partial.SetToken(t);
      CheckRanges(t, screen, partial, &shares);
    }
    return shares;
  }

 private:
  float logit(size_t token, size_t row) const { return logits_[token * kRows + row]; }

  void Compare(size_t token, const float* uppers, const float* middles, double* share) {
    for (size_t r = 0; r < kRows; ++r) {
      EXPECT_LE(logit(token, r), uppers[r]) << "row " << r << ", token " << token;
      if (middles == nullptr) continue;
      const double middle = static_cast<double>(middles[r]);
      EXPECT_GE(static_cast<double>(logit(token, r)), 2 * middle - static_cast<double>(uppers[r])) << "row " << r;
      const double used = (static_cast<double>(logit(token, r)) - middle) / (static_cast<double>(uppers[r]) - middle);
      *share = std::max(*share, used);
    }
  }

  void CheckRanges(size_t token, const Screen& screen, const PartialScreen& partial, Shares* shares) {
    RefinedRows& rows = scratch_.refined[0];
    rows.count = kRows;
    for (uint32_t r = 0; r < kRows; ++r) rows.rows[r] = r;
    std::fill_n(rows.sums, kRows, 0u);
    std::fill_n(rows.spreads, kRows, 0u);
    for (size_t i = 0; i < partial.ranges(); ++i) {
      partial.Read(token, partial.range_of(token, i), &rows);
      if (i + 1 == partial.ranges()) break;
      partial.SetUpperBounds(token, i + 1, &rows);
      Compare(token, rows.uppers, nullptr, nullptr);
    }
    LogitBounds bounds[kRows];
    screen.BoundsOf(token, rows.rows, kRows, rows.sums, bounds);
    for (size_t r = 0; r < kRows; ++r) {
      const double upper = static_cast<double>(bounds[r].upper), deviation = static_cast<double>(bounds[r].deviation);
      const double value = static_cast<double>(logit(token, r));
      EXPECT_LE(value, upper) << "row " << r << ", token " << token;
      if (upper == INFINITY) continue;
      EXPECT_GE(value, upper - 2 * deviation) << "row " << r << ", token " << token;
      if (deviation > 0) shares->full = std::max(shares->full, std::fabs(value - upper + deviation) / deviation);
    }
  }

  const std::atomic<bool> cancelled_{false};
  PackedHidden packed_;
  ScreenScratch scratch_;
  HeadBatch batch_ = {};
  std::vector<float> logits_;
};

struct Attack {
  const char* name;
  size_t cols;
  Shares least;  // that the attack must reach
  std::function<void(std::mt19937_64&, Attacked*)> make;
};
std::ostream& operator<<(std::ostream& out, const Attack& attack) { return out << attack.name; }

// Integers whose lower nibble is proportional to the hidden state: so is the error of the upper one.
void ErrorsOfUpperNibbles(std::mt19937_64& random, Attacked* attacked) {
  std::vector<int> lower(attacked->cols);
  for (int& nibble : lower) nibble = static_cast<int>(random() % 16);
  lower[0] = 15;
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) { return kMost * (2 * lower[k] - 15) / 15.0; });
  attacked->ForEach([&](size_t, size_t k, float* value, int* integer) {
    *integer = static_cast<int>(random() % 16) * 16 + lower[k];
    *value = attacked->scale * static_cast<float>(*integer - 128);
  });
}

// Rows that are not near the integers at all.
void ErrorsOfBothNibbles(std::mt19937_64& random, Attacked* attacked) {
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) {
    return k == 0 ? kMost : static_cast<double>(static_cast<int>(random() % (2 * kMost)) - kMost);
  });
  for (size_t t = 1; t < kTokens; ++t)
    std::copy_n(attacked->hidden.data(), attacked->cols, &attacked->hidden[t * attacked->cols]);
  attacked->ForEach([&](size_t, size_t k, float* value, int* integer) {
    *integer = static_cast<int>(random() % 256);
    *value = attacked->scale * static_cast<float>(*integer - 128) + 50 * attacked->hidden[k];
  });
}

// The error of both is in the columns that are read first, that of the upper nibbles in the others.
void ErrorsInBothParts(std::mt19937_64&, Attacked* attacked) {
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) { return k < 128 ? kMost : kMost - 64; });
  attacked->ForEach([&](size_t, size_t k, float* value, int* integer) {
    *integer = 128 + (k >= 128 ? 15 : k % 2 == 0 ? 7 : 8);
    *value = attacked->scale * (static_cast<float>(*integer - 128) + (k < 128 ? 0x1p-6f : 0));
  });
}

// In the columns that are read first, the error of both nibbles takes away half of that of the upper ones.
void ErrorsThatCancel(std::mt19937_64&, Attacked* attacked) {
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) { return k < 128 ? -kMost : kMost - 64; });
  attacked->ForEach([&](size_t, size_t k, float* value, int* integer) {
    *integer = 128 + 15;
    *value = attacked->scale * (k < 128 ? 15 - 3.75f : 15.0f);
  });
}

// Every hidden element is rounded by half a step, in the direction of integers that are as large as they can be.
std::function<void(std::mt19937_64&, Attacked*)> RoundedHidden(bool upper_is_exact) {
  return [=](std::mt19937_64& random, Attacked* attacked) {
    attacked->SetHidden(
        0x1p-15, [&](size_t, size_t k) { return k == 0 ? -kMost : -(static_cast<double>(random() % 1000) + 0.498); });
    attacked->ForEach([&](size_t, size_t, float* value, int* integer) {
      *integer = 0;
      *value = attacked->scale * (upper_is_exact ? UpperLevel(0) : -128.0f);
    });
  };
}

// Likewise, and the errors of the upper nibbles are proportional to the hidden state.
void RoundedHiddenInPart(std::mt19937_64&, Attacked* attacked) {
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) { return k == 0 ? -kMost : -(kMost - 64 + 0.498); });
  attacked->ForEach([&](size_t, size_t, float* value, int* integer) {
    *integer = 0;
    *value = attacked->scale * -128;
  });
}

// Each addition of a float32 kernel rounds in the same direction: 127 * i is 33 or 31 more than a multiple of 64, the
// spacing of floats there.
void RoundingsOfTheKernel(std::mt19937_64&, Attacked* attacked) {
  attacked->SetHidden(0x1p-15,
                      [&](size_t token, size_t k) { return k == 0 ? kMost : kMost - (token % 2 == 0 ? 33 : 31); });
  attacked->ForEach([&](size_t, size_t, float* value, int* integer) {
    *integer = 255;
    *value = attacked->scale * 127;
  });
}

void SubnormalProducts(std::mt19937_64& random, Attacked* attacked) {
  attacked->scale = 0x1p-148f;
  attacked->SetHidden(0x1p-18,
                      [&](size_t, size_t k) { return k == 0 ? kMost : static_cast<double>(random() % kMost); });
  attacked->ForEach([&](size_t row, size_t, float* value, int* integer) {
    *integer = static_cast<int>(random() % 16) * 16 + static_cast<int>(random() % 16);
    *value = attacked->scale * (row % 2 == 0 ? UpperLevel(*integer) : static_cast<float>(*integer - 128));
  });
}

// The sum is 0, but the lanes of a float32 kernel overflow on the way to it.
void Overflow(std::mt19937_64&, Attacked* attacked) {
  attacked->scale = 0x1p120f;
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) { return k < 128 ? kMost : -kMost; });
  attacked->ForEach([&](size_t, size_t, float* value, int* integer) {
    *integer = 240;
    *value = attacked->scale * UpperLevel(240);
  });
}

void LargeBiases(std::mt19937_64& random, Attacked* attacked) {
  attacked->SetHidden(0x1p-15,
                      [&](size_t, size_t k) { return k == 0 ? kMost : static_cast<double>(random() % kMost); });
  attacked->ForEach([&](size_t row, size_t, float* value, int* integer) {
    *integer = static_cast<int>(random() % 256);
    *value = attacked->scale * (row % 2 == 0 ? UpperLevel(*integer) : static_cast<float>(*integer - 128));
  });
  for (float& bias : attacked->bias) bias = 0x1p20f * static_cast<float>(random() % 1000 + 1) / 7;
}

// Weights of 0 … 255 steps, which float32 rounds as often as a bound may be rounded.
void LargeZeroPoints(std::mt19937_64& random, Attacked* attacked) {
  attacked->quantised = true;
  for (size_t r = 0; r < kRows; ++r) attacked->scales.push_back(static_cast<float>(random() % 1000 + 1000) / 7919);
  attacked->SetHidden(0x1p-15 * static_cast<double>(random() % 1000 + 1) / 1000,
                      [&](size_t, size_t k) { return k == 0 ? kMost : kMost - static_cast<double>(random() % 2); });
  attacked->ForEach([&](size_t, size_t, float*, int* integer) { *integer = 248; });
}

// Calibrated columns that are half a step off.
void ErrorsInColumns(std::mt19937_64& random, Attacked* attacked) {
  attacked->scale = 0x1p-20f;
  attacked->column_scale = 0x1p-7f;
  attacked->SetHidden(0x1p-15,
                      [&](size_t, size_t k) { return k < kScreenColumns ? kMost : static_cast<double>(random() % 9); });
  attacked->ForEach([&](size_t row, size_t k, float* value, int* integer) {
    const bool column = k < kScreenColumns;
    *integer = static_cast<int>(random() % 16) * 16 + 8;
    *value = attacked->scale * (column ? UpperLevel(*integer) : static_cast<float>(*integer - 128));
    if (!column) return;
    const int step = static_cast<int>(random() % 255) - 127;
    attacked->column_values[row * kScreenColumns + k] = static_cast<int8_t>(step);
    *value += attacked->column_scale * (static_cast<float>(step) + 0.499f);
  });
}

// Calibrated columns without an error, which replace large nibbles: for a float table 8, for int8 any.
std::function<void(std::mt19937_64&, Attacked*)> ExactColumns(bool quantised) {
  return [=](std::mt19937_64& random, Attacked* attacked) {
    attacked->quantised = quantised;
    attacked->column_scale = quantised ? attacked->scale / 2 : attacked->scale * 0x1p-10f;
    attacked->SetHidden(0x1p-15, [&](size_t token, size_t k) {
      const int sign = token % 2 == 0 ? 1 : -1;
      return k < kScreenColumns ? sign * kMost : k < 128 ? 4000 : 3000;
    });
    attacked->ForEach([&](size_t row, size_t k, float* value, int* integer) {
      const bool column = k < kScreenColumns;
      const int lower = column && quantised ? (k % 2 == 0 ? 15 : 12) : 8;
      *integer = static_cast<int>(random() % 16) * 16 + lower;
      *value = attacked->scale * (column ? UpperLevel(*integer) : static_cast<float>(*integer - 128));
      if (!column) return;
      const int step = quantised ? 2 * lower - 15 : static_cast<int>(random() % 255) - 127;
      attacked->column_values[row * kScreenColumns + k] = static_cast<int8_t>(step);
      *value += attacked->column_scale * static_cast<float>(step);
    });
  };
}

// Hidden elements are rounded by half a step where calibrated columns are largest.
void RoundedHiddenInColumns(std::mt19937_64& random, Attacked* attacked) {
  attacked->scale = 0x1p-30f;
  attacked->column_scale = 0x1p-7f;
  attacked->SetHidden(0x1p-15, [&](size_t, size_t k) {
    return k < kScreenColumns ? 1.498 : k == kScreenColumns ? kMost : 0;
  });
  attacked->ForEach([&](size_t row, size_t k, float* value, int* integer) {
    *integer = static_cast<int>(random() % 16) * 16 + 8;
    *value = attacked->scale * (k < kScreenColumns ? UpperLevel(*integer) : static_cast<float>(*integer - 128));
    if (k >= kScreenColumns) return;
    attacked->column_values[row * kScreenColumns + k] = 127;
    *value += attacked->column_scale * 127;
  });
}

const Attack kAttacks[] = {
    {"ErrorsOfUpperNibbles", 256, {0.99, 0}, ErrorsOfUpperNibbles},
    {"ErrorsOfBothNibbles", 256, {0.99, 0.99}, ErrorsOfBothNibbles},
    {"ErrorsInBothParts", 256, {}, ErrorsInBothParts},
    {"ErrorsThatCancel", 256, {}, ErrorsThatCancel},
    {"RoundedHiddenUpper", 256, {0.95, 0}, RoundedHidden(true)},
    {"RoundedHiddenFull", 256, {0, 0.95}, RoundedHidden(false)},
    {"RoundedHiddenInPart", 256, {}, RoundedHiddenInPart},
    {"RoundingsOfTheKernel", 8192, {0, 0.15}, RoundingsOfTheKernel},
    {"SubnormalProducts", 256, {}, SubnormalProducts},
    {"Overflow", 256, {}, Overflow},
    {"LargeBiases", 256, {}, LargeBiases},
    {"LargeZeroPoints", 64, {}, LargeZeroPoints},
    {"LargeZeroPointsInPart", 256, {}, LargeZeroPoints},
    {"ErrorsInColumns", 256, {0.95, 0.95}, ErrorsInColumns},
    {"ExactColumns", 256, {}, ExactColumns(false)},
    {"ExactColumnsOfInt8", 256, {}, ExactColumns(true)},
    {"RoundedHiddenInColumns", 256, {0.8, 0.8}, RoundedHiddenInColumns},
};

class ScreenBounds : public testing::TestWithParam<Attack> {};

TEST_P(ScreenBounds, HoldOnlyJust) {
  for (const kernels::Kernels* const* set = kernels::AllKernels(); *set != nullptr; ++set) {
    if (kernels::ChooseKernels((*set)->isa) == nullptr) continue;
    for (uint64_t seed = 0; seed < 8; ++seed) {
      std::mt19937_64 random(seed);
      Attacked attacked(GetParam().cols);
      GetParam().make(random, &attacked);
      const Table table(attacked);
      const Shares shares = Bounds(*set, attacked, table).Check();
      EXPECT_GE(shares.upper, GetParam().least.upper);
      EXPECT_GE(shares.full, GetParam().least.full);
      ASSERT_FALSE(HasFailure()) << (*set)->isa << ", seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Attacks, ScreenBounds, testing::ValuesIn(kAttacks),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tied::runtime
