// Rounds floats to integers with a scale, in loops that compilers vectorise.
#ifndef TIED_CONVERTER_OUTPUT_ROUNDING_H_
#define TIED_CONVERTER_OUTPUT_ROUNDING_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "schema/narrow_floats.h"

namespace tied::converter {

inline constexpr float kSmallestScale = std::numeric_limits<float>::min();

// Infinity if a value is not finite. Compares bits as integers, which have the same order as the magnitudes.
inline float LargestMagnitude(const float* values, size_t count) {
  int32_t largest = 0;
  for (size_t k = 0; k < count; ++k) {
    const auto magnitude = static_cast<int32_t>(BitsOf(values[k]) & 0x7fffffff);
    largest = magnitude > largest ? magnitude : largest;
  }
  const bool finite = largest < 0x7f800000;
  return finite ? FloatOf(static_cast<uint32_t>(largest)) : std::numeric_limits<float>::infinity();
}

// Clamps to the range and rounds to the nearest integer, ties to even, for magnitudes up to 2^22. Calls no
// function, so that loops vectorise.
inline float Round(float value, float lowest, float highest) {
  const float limited = value < lowest ? lowest : value > highest ? highest : value;
  return (limited + 0x1.8p23f) - 0x1.8p23f;
}

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_ROUNDING_H_
