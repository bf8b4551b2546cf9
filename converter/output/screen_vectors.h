// The loops of screen_loops.h over vectors as wide as the instruction set that this is compiled for. In an unnamed
// namespace, and without functions of other headers: the linker keeps one copy of an inline function, which could be
// that for another instruction set.
#ifndef TIED_CONVERTER_OUTPUT_SCREEN_VECTORS_H_
#define TIED_CONVERTER_OUTPUT_SCREEN_VECTORS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "converter/output/screen_loops.h"

namespace tied::converter {
namespace {

#ifdef __AVX2__
inline constexpr size_t kWidth = 8;
#else
inline constexpr size_t kWidth = 4;
#endif

// The order of additions decides the bits of a sum: as many sums for every width.
inline constexpr size_t kSums = 16;
inline constexpr size_t kVectors = kSums / kWidth;

// Values whose errors are kept in arrays between two loops.
inline constexpr size_t kChunk = 8 * kSums;

// Compilers turn operators on these types into vector instructions; they do not vectorise all of the same loops.
using Floats = float __attribute__((vector_size(kWidth * sizeof(float))));
using Bits = int32_t __attribute__((vector_size(kWidth * sizeof(float))));
using HalfFloats = float __attribute__((vector_size(kWidth / 2 * sizeof(float))));
using Doubles = double __attribute__((vector_size(kWidth / 2 * sizeof(double))));

template <class Vector, class Number>
Vector Load(const Number* numbers) {
  Vector vector;
  std::memcpy(&vector, numbers, sizeof vector);
  return vector;
}

// Halves, quarters, …
template <class Number>
Number Sum(Number (&sums)[kSums]) {
  for (size_t half = kSums / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) sums[j] += sums[j + half];
  }
  return sums[0];
}

// Adding 1.5 * 2^23 rounds to an integer, ties to even, and leaves it in the lower bits.
inline constexpr float kRound = 0x1.8p23f;
inline constexpr int32_t kZeroBits = 0x4b400000;  // of kRound

struct Rounded {
  Floats integer;  // -128 … 127
  Floats level;    // what its upper nibble means: 16 * nibble + 7.5 - 128
};

// Limits are applied to bits, which have the order of the numbers: these are single instructions.
inline Rounded Round(Floats steps) {
  const Floats sums = steps + kRound;
  const Bits lowest = Bits{} + (kZeroBits - 128), highest = Bits{} + (kZeroBits + 127);
  Bits bits = Load<Bits>(&sums);
  bits = bits > lowest ? bits : lowest;
  bits = bits < highest ? bits : highest;
  const Bits upper = bits & ~15;
  return {Load<Floats>(&bits) - kRound, (Load<Floats>(&upper) - kRound) + 7.5f};
}

// Copies the last values of a row. mask: 1 for each, otherwise 0.
inline void CopyRest(const float* values, size_t count, float (&rest)[kSums], float (&mask)[kSums]) {
  for (size_t j = 0; j < kSums; ++j) {
    rest[j] = j < count ? values[j] : 0.0f;
    mask[j] = j < count ? 1.0f : 0.0f;
  }
}

inline ScreenSquares<float> Measure(const float* values, size_t count, float scale) {
  const float inverse = 1 / scale;
  Floats upper[kVectors] = {}, both[kVectors] = {};
  size_t k = 0;
  for (; k + kSums <= count; k += kSums) {
    for (size_t j = 0; j < kVectors; ++j) {
      const Floats steps = Load<Floats>(values + k + j * kWidth) * inverse;
      const Rounded rounded = Round(steps);
      const Floats upper_error = steps - rounded.level, error = steps - rounded.integer;
      upper[j] += upper_error * upper_error;
      both[j] += error * error;
    }
  }
  if (k < count) {
    float rest[kSums], mask[kSums];
    CopyRest(values + k, count - k, rest, mask);
    for (size_t j = 0; j < kVectors; ++j) {
      const Floats steps = Load<Floats>(rest + j * kWidth) * inverse, counts = Load<Floats>(mask + j * kWidth);
      const Rounded rounded = Round(steps);
      const Floats upper_error = (steps - rounded.level) * counts, error = (steps - rounded.integer) * counts;
      upper[j] += upper_error * upper_error;
      both[j] += error * error;
    }
  }
  float upper_sums[kSums], both_sums[kSums];
  std::memcpy(upper_sums, upper, sizeof upper);
  std::memcpy(both_sums, both, sizeof both);
  return {Sum(upper_sums), Sum(both_sums)};
}

struct Chunk {
  float integers[kChunk];
  float upper_errors[kChunk];
  float errors[kChunk];
};

inline void QuantiseChunk(const float* values, size_t count, float scale, float inverse, Chunk* chunk) {
  for (size_t k = 0; k < count; k += kWidth) {
    const Floats value = Load<Floats>(values + k);
    const Rounded rounded = Round(value * inverse);
    const Floats upper_error = value - rounded.level * scale, error = value - rounded.integer * scale;
    std::memcpy(chunk->integers + k, &rounded.integer, sizeof rounded.integer);
    std::memcpy(chunk->upper_errors + k, &upper_error, sizeof upper_error);
    std::memcpy(chunk->errors + k, &error, sizeof error);
  }
}

inline Doubles Square(const float* errors) {
  const Doubles error = __builtin_convertvector(Load<HalfFloats>(errors), Doubles);
  return error * error;
}

class DoubleSums {
 public:
  void Add(const float* errors, size_t count) {
    for (size_t k = 0; k < count; k += kSums) {
      for (size_t j = 0; j < 2 * kVectors; ++j) sums_[j] += Square(errors + k + j * kWidth / 2);
    }
  }
  double Total() const {
    double sums[kSums];
    std::memcpy(sums, sums_, sizeof sums);
    return Sum(sums);
  }

 private:
  Doubles sums_[2 * kVectors] = {};
};

inline void StoreIntegers(const float* integers, size_t count, uint8_t* stored) {
  for (size_t k = 0; k < count; ++k) stored[k] = static_cast<uint8_t>(static_cast<int32_t>(integers[k]) + 128);
}

inline ScreenSquares<double> Quantise(const float* values, size_t count, float scale, uint8_t* integers) {
  const float inverse = 1 / scale;
  DoubleSums upper, both;
  Chunk chunk;
  size_t k = 0;
  for (size_t size = 0; k + kSums <= count; k += size) {
    size = (count - k) / kSums * kSums;
    size = size < kChunk ? size : kChunk;
    QuantiseChunk(values + k, size, scale, inverse, &chunk);
    StoreIntegers(chunk.integers, size, integers + k);
    upper.Add(chunk.upper_errors, size);
    both.Add(chunk.errors, size);
  }
  if (k < count) {
    float rest[kSums], mask[kSums];
    CopyRest(values + k, count - k, rest, mask);
    QuantiseChunk(rest, kSums, scale, inverse, &chunk);
    StoreIntegers(chunk.integers, count - k, integers + k);
    for (size_t j = 0; j < kSums; ++j) {
      chunk.upper_errors[j] *= mask[j];
      chunk.errors[j] *= mask[j];
    }
    upper.Add(chunk.upper_errors, kSums);
    both.Add(chunk.errors, kSums);
  }
  return {upper.Total(), both.Total()};
}

inline void Split(const uint8_t* __restrict integers, size_t pairs, uint8_t* __restrict upper,
                  uint8_t* __restrict lower) {
  for (size_t i = 0; i < pairs; ++i) {
    const unsigned even = integers[2 * i], odd = integers[2 * i + 1];
    upper[i] = static_cast<uint8_t>(even >> 4 | (odd & 0xf0));
    lower[i] = static_cast<uint8_t>((even & 15) | (odd & 15) << 4);
  }
}

inline uint32_t LowerSquares(const uint8_t* integers, size_t count) {
  uint32_t sum = 0;
  for (size_t k = 0; k < count; ++k) {
    const int32_t twice = 2 * (integers[k] & 15) - 15;
    sum += static_cast<uint32_t>(twice * twice);
  }
  return sum;
}

inline constexpr ScreenLoops kLoops = {Measure, Quantise, Split, LowerSquares};

}  // namespace
}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_SCREEN_VECTORS_H_
