// Scalar conversions of 16-bit floats (bit patterns), rounding to nearest even like the hardware's.
// `static inline` on purpose: files of different instruction sets must not share one emitted copy.
#pragma once

#include <cstdint>
#include <cstring>

namespace sillar {

static inline uint32_t float_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float float_from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float bf16_to_f32(uint16_t h) { return float_from_bits(uint32_t{h} << 16); }

static inline uint16_t f32_to_bf16(float x) {
  const uint32_t bits = float_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);  // NaN stays NaN
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16;
  const uint32_t rest = h & 0x7fffu;
  if (rest >= 0x7c00u) return float_from_bits(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  if (rest >= 0x0400u) return float_from_bits(sign | ((rest << 13) + (112u << 23)));
  const float tiny = float(rest) * 0x1p-24f;  // subnormal: exact
  return float_from_bits(sign | float_bits(tiny));
}

static inline uint16_t f32_to_f16(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return uint16_t(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {  // subnormal result: let one fp32 addition do the rounding
    const float rounded = float_from_bits(magnitude) + 0.5f;
    return uint16_t(sign | (float_bits(rounded) - 0x3f000000u));
  }
  const uint32_t rebased = magnitude - (112u << 23);
  return uint16_t(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
}

}  // namespace sillar
