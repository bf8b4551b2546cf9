// Converts float32 to and from the bits of float16 and bfloat16.
#ifndef TIED_SCHEMA_NARROW_FLOATS_H_
#define TIED_SCHEMA_NARROW_FLOATS_H_

#include <cstdint>
#include <cstring>

namespace tied::converter {

inline uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Rounds to nearest, ties to even; numbers that are too large become infinity. Without branches, so that loops
// vectorise.
inline uint16_t HalfOf(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  // Below 2^-14 a unit in the last place is 2^-24, as for float32 numbers from 0.5 to 1.
  const uint32_t subnormal = BitsOf(FloatOf(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t at_least = magnitude < 0x38800000 ? 0x38800000 : magnitude;
  const uint32_t normal = ((at_least + 0xfff + (at_least >> 13 & 1)) >> 13) - (112u << 10);
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x47800000 ? 0x7c00 : half;
  half = magnitude > 0x7f800000 ? 0x7e00 : half;
  return static_cast<uint16_t>(sign | half);
}
inline float FloatOfHalf(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  const uint32_t subnormal = BitsOf(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  uint32_t bits = magnitude < 0x400 ? subnormal : (magnitude << 13) + (112u << 23);
  bits = magnitude >= 0x7c00 ? 0x7f800000 | (magnitude & 0x3ff) << 13 : bits;
  return FloatOf(sign | bits);
}

inline uint16_t BFloatOf(float value) {
  const uint32_t bits = BitsOf(value);
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  const uint32_t number = is_nan ? 0 : bits;
  const uint32_t rounded = (number + 0x7fff + (number >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(is_nan ? bits >> 16 | 0x40 : rounded);
}
inline float FloatOfBFloat(uint16_t bfloat) { return FloatOf(static_cast<uint32_t>(bfloat) << 16); }

}  // namespace tied::converter

#endif  // TIED_SCHEMA_NARROW_FLOATS_H_
