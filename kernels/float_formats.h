// The narrow float formats as they lie in memory, and their exact widening to float32.
#ifndef TIED_KERNELS_FLOAT_FORMATS_H_
#define TIED_KERNELS_FLOAT_FORMATS_H_

#include <cstdint>
#include <cstring>

namespace tied::kernels {

// IEEE 754 binary16.
struct Half {
  uint16_t bits;
};

// The upper half of an IEEE 754 binary32.
struct BFloat16 {
  uint16_t bits;
};

inline float FloatFromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float Widen(float value) { return value; }

inline float Widen(BFloat16 value) { return FloatFromBits(static_cast<uint32_t>(value.bits) << 16); }

// Without a branch, so that compilers vectorise it. With the exponent's bits in their new place, the bias is 112 too
// small; a multiplication by a power of two mends it exactly, subnormal numbers included. Infinity and NaN would become
// finite: they get the exponent that they had.
inline float Widen(Half value) {
  const uint32_t magnitude = (value.bits & 0x7fffu) << 13;
  const float scaled = FloatFromBits(magnitude) * 0x1p112f;
  const float finite_or_not = magnitude >= 0x0f800000u ? FloatFromBits(magnitude | 0x7f800000u) : scaled;
  uint32_t bits;
  std::memcpy(&bits, &finite_or_not, sizeof bits);
  return FloatFromBits(bits | (value.bits & 0x8000u) << 16);
}

}  // namespace tied::kernels

#endif  // TIED_KERNELS_FLOAT_FORMATS_H_
