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

// Rounds to nearest, ties to even; numbers that are too large become infinity.
inline uint16_t HalfOf(float value) {
  const uint32_t bits = BitsOf(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);
  // Below 2^-14 a unit in the last place is 2^-24, as for float32 numbers from 0.5 to 1.
  if (magnitude < 0x38800000) return static_cast<uint16_t>(sign | (BitsOf(FloatOf(magnitude) + 0.5f) - 0x3f000000));
  const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}
inline float FloatOfHalf(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00) return FloatOf(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  if (magnitude < 0x400) return FloatOf(sign | BitsOf(static_cast<float>(magnitude) * 0x1p-24f));
  return FloatOf(sign | ((magnitude << 13) + (112u << 23)));
}

inline uint16_t BFloatOf(float value) {
  const uint32_t bits = BitsOf(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float FloatOfBFloat(uint16_t bfloat) { return FloatOf(static_cast<uint32_t>(bfloat) << 16); }

}  // namespace tied::converter

#endif  // TIED_SCHEMA_NARROW_FLOATS_H_
