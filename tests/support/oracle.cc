#include "tests/support/oracle.h"

#include <cmath>
#include <limits>
#include <random>

namespace tied::test {

std::ostream& operator<<(std::ostream& out, Numbers numbers) {
  static constexpr const char* kNames[] = {"Normal", "MixedMagnitudes", "Subnormal", "Special"};
  return out << kNames[static_cast<int>(numbers)];
}

std::vector<float> MakeNumbers(Numbers numbers, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kSpecials[] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 0.0f, -0.0f, 3e38f};
  for (float& value : values) {
    value = normal(random);
    if (numbers == Numbers::kMixedMagnitudes) value = std::ldexp(value, static_cast<int>(random() % 60) - 30);
    if (numbers == Numbers::kSubnormal) value = std::ldexp(value, -74 - static_cast<int>(random() % 4));
    if (numbers == Numbers::kSpecial && random() % 200 == 0) value = kSpecials[random() % std::size(kSpecials)];
  }
  return values;
}

DoubleDot ExactDot(const float* row, const float* hidden, size_t cols) {
  DoubleDot dot{0, 0};
  for (size_t k = 0; k < cols; ++k) {
    const double product = static_cast<double>(row[k]) * static_cast<double>(hidden[k]);
    dot.value += product;
    dot.magnitude += std::fabs(product);
  }
  return dot;
}

double Gamma(size_t roundings) {
  const double nu = static_cast<double>(roundings) * 0x1p-24;
  return nu / (1 - nu);
}

}  // namespace tied::test
