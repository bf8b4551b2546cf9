// The narrow float formats in memory, and their exact conversion to float32.
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

// Branch-free, so that compilers vectorise it. Shifting the bits leaves the exponent 112 too small; multiplying by a
// power of two corrects it exactly, also for subnormal numbers. Infinity and NaN would become finite, so their exponent
// is set to all ones again.
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
