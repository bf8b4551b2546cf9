// Reference results for the kernels, and numbers to test them with.
#ifndef TIED_TESTS_SUPPORT_ORACLE_H_
#define TIED_TESTS_SUPPORT_ORACLE_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <vector>

namespace tied::test {

enum class Numbers { kNormal, kMixedMagnitudes, kSubnormal, kSpecial };
std::ostream& operator<<(std::ostream& out, Numbers numbers);

// `count` seeded random numbers of a kind. kSpecial includes infinities, NaN and zeros of both signs.
std::vector<float> MakeNumbers(Numbers numbers, size_t count, uint64_t seed);

// A dot product in double precision, and the sum of the magnitudes of its terms.
struct DoubleDot {
  double value;
  double magnitude;
};
DoubleDot ExactDot(const float* row, const float* hidden, size_t cols);

// gamma_n = n u / (1 - n u), u = 2^-24: n roundings in a row change a sum of products by at most gamma_n times the sum
// of their magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 3.1).
double Gamma(size_t roundings);

// Index of the first element whose bits differ, or -1. Any two NaN count as equal.
template <class T>
std::ptrdiff_t FirstDifference(const std::vector<T>& a, const std::vector<T>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0) return static_cast<std::ptrdiff_t>(i);
  }
  return -1;
}

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_ORACLE_H_
