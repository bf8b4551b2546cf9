// The loops over the values of a row that make its screen. Each set is for some CPUs; all give the same bits.
#ifndef TIED_CONVERTER_OUTPUT_SCREEN_LOOPS_H_
#define TIED_CONVERTER_OUTPUT_SCREEN_LOOPS_H_

#include <cstddef>
#include <cstdint>

namespace tied::converter {

// Sums of squared errors: of the upper nibbles alone, and of both planes.
template <class Number>
struct ScreenSquares {
  Number upper;
  Number both;
};

struct ScreenLoops {
  // Errors in units of `scale`, summed in float32: to compare scales.
  ScreenSquares<float> (*measure)(const float* values, size_t count, float scale);

  // Rounds values / scale to -128 … 127, and stores the integers + 128. Errors are float32 numbers, within 2^-24 of
  // their magnitude, if `scale` has at most 16 significant bits and its products with 128 are finite; their squares
  // are summed in float64.
  ScreenSquares<double> (*quantise)(const float* values, size_t count, float scale, uint8_t* integers);

  // Two integers make a byte of each plane.
  void (*split)(const uint8_t* integers, size_t pairs, uint8_t* upper, uint8_t* lower);

  // The sum of (2 * (integer % 16) - 15)^2, for at most 2^23 integers.
  uint32_t (*lower_squares)(const uint8_t* integers, size_t count);
};

extern const ScreenLoops kBaselineScreenLoops;

// Null if the CPU does not have AVX2.
const ScreenLoops* Avx2ScreenLoops();

const ScreenLoops& FastestScreenLoops();

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_SCREEN_LOOPS_H_
