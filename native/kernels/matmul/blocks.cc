// Decodes the quantised blocks of GGUF files into plain values, and whole rows into floats.
#include "kernels/matmul/blocks.h"

#include <cassert>
#include <cstring>

#include "base/half.h"
#include "kernels/matmul/packed.h"

namespace sillar::kernels {
namespace {

uint16_t load_u16(const uint8_t* p) { return uint16_t(p[0] | p[1] << 8); }

void decode_nibbles(const uint8_t* src, uint8_t* values) {
  for (int i = 0; i < 16; ++i) {
    values[i] = src[i] & 15;
    values[i + 16] = src[i] >> 4;
  }
}

// Q4_0: d, 16 bytes of nibbles. Q4_1: d, m, nibbles. Q5: 32 high bits before the nibbles. Q8_0: d, 32 s8.
void decode_simple(WeightType type, const uint8_t* src, PlainBlock& out) {
  const PackedFormat f = packed_format(type);
  out.d = load_u16(src);
  src += 2;
  if (f.has_min) {
    out.m = load_u16(src);
    src += 2;
  }
  if (f.low_bits == 8) {
    for (int i = 0; i < 32; ++i) out.values[i] = uint8_t(src[i] + 128);
    return;
  }
  const uint8_t* high = src;
  decode_nibbles(src + (f.high_bits ? 4 : 0), out.values);
  if (f.high_bits)
    for (int i = 0; i < 32; ++i) out.values[i] |= uint8_t((high[i / 8] >> (i % 8) & 1) << 4);
}

// Q4_K and Q5_K: eight 6-bit scales and mins in 12 bytes, the last four's high bits on top of the first's.
void decode_scales_6bit(const uint8_t* src, PlainBlock& out) {
  for (int i = 0; i < 4; ++i) {
    out.scales[i] = int8_t(src[i] & 63);
    out.mins[i] = src[i + 4] & 63;
    out.scales[i + 4] = int8_t((src[i + 8] & 15) | (src[i] >> 6 << 4));
    out.mins[i + 4] = uint8_t((src[i + 8] >> 4) | (src[i + 4] >> 6 << 4));
  }
}

void decode_q45_k(bool five, const uint8_t* src, PlainBlock& out) {
  out.d = load_u16(src);
  out.m = load_u16(src + 2);
  decode_scales_6bit(src + 4, out);
  const uint8_t* high = src + 16;
  const uint8_t* low = src + (five ? 48 : 16);
  for (int pair = 0; pair < 4; ++pair) {
    uint8_t* values = out.values + pair * 64;
    for (int i = 0; i < 32; ++i) {
      values[i] = low[pair * 32 + i] & 15;
      values[i + 32] = low[pair * 32 + i] >> 4;
    }
    if (!five) continue;
    for (int i = 0; i < 32; ++i) {
      values[i] |= uint8_t((high[i] >> (2 * pair) & 1) << 4);
      values[i + 32] |= uint8_t((high[i] >> (2 * pair + 1) & 1) << 4);
    }
  }
}

// Two bits a value: byte i of a half's 32 holds values i, i + 32, i + 64, i + 96.
void decode_two_bits(const uint8_t* src, uint8_t* values) {
  for (int half = 0; half < 2; ++half)
    for (int field = 0; field < 4; ++field)
      for (int i = 0; i < 32; ++i)
        values[half * 128 + field * 32 + i] = src[half * 32 + i] >> (2 * field) & 3;
}

void decode_q2_k(const uint8_t* src, PlainBlock& out) {
  for (int i = 0; i < 16; ++i) {
    out.scales[i] = int8_t(src[i] & 15);
    out.mins[i] = src[i] >> 4;
  }
  decode_two_bits(src + 16, out.values);
  out.d = load_u16(src + 80);
  out.m = load_u16(src + 82);
}

void decode_q3_k(const uint8_t* src, PlainBlock& out) {
  decode_two_bits(src + 32, out.values);
  for (int bit = 0; bit < 8; ++bit)
    for (int i = 0; i < 32; ++i) out.values[bit * 32 + i] |= uint8_t((src[i] >> bit & 1) << 2);
  const uint8_t* scales = src + 96;
  for (int i = 0; i < 16; ++i) {
    const int low = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
    const int high = scales[8 + i % 4] >> (2 * (i / 4)) & 3;
    out.scales[i] = int8_t((low | high << 4) - 32);
  }
  out.d = load_u16(src + 108);
}

void decode_q6_k(const uint8_t* src, PlainBlock& out) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = src + half * 64;
    const uint8_t* high = src + 128 + half * 32;
    uint8_t* values = out.values + half * 128;
    for (int i = 0; i < 32; ++i) {
      values[i] = uint8_t((low[i] & 15) | (high[i] & 3) << 4);
      values[i + 32] = uint8_t((low[i + 32] & 15) | (high[i] >> 2 & 3) << 4);
      values[i + 64] = uint8_t((low[i] >> 4) | (high[i] >> 4 & 3) << 4);
      values[i + 96] = uint8_t((low[i + 32] >> 4) | (high[i] >> 6) << 4);
    }
  }
  std::memcpy(out.scales, src + 192, 16);
  out.d = load_u16(src + 208);
}

void dequantize_float(const WeightView& src, int64_t row, float* out) {
  const std::byte* data = src.data + row * src.cols * float_bytes(src.type);
  if (src.type == WeightType::f32) {
    std::memcpy(out, data, size_t(src.cols) * 4);
    return;
  }
  for (int64_t i = 0; i < src.cols; ++i) {
    const uint16_t half = load_u16(reinterpret_cast<const uint8_t*>(data) + 2 * i);
    out[i] = src.type == WeightType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
  }
}

}  // namespace

void decode_block(WeightType type, const std::byte* src, PlainBlock& out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(src);
  switch (type) {
    case WeightType::q2_k: return decode_q2_k(bytes, out);
    case WeightType::q3_k: return decode_q3_k(bytes, out);
    case WeightType::q4_k: return decode_q45_k(false, bytes, out);
    case WeightType::q5_k: return decode_q45_k(true, bytes, out);
    case WeightType::q6_k: return decode_q6_k(bytes, out);
    default: return decode_simple(type, bytes, out);
  }
}

void dequantize_row(const WeightView& src, int64_t row, float* out) {
  if (is_float(src.type)) return dequantize_float(src, row, out);
  const PackedFormat f = packed_format(src.type);
  const WeightTypeInfo* info = weight_type_info(uint32_t(src.type));
  const int64_t blocks = src.cols / info->block;
  const int64_t group = group_cols / f.scale_groups;
  PlainBlock block;
  for (int64_t b = 0; b < blocks; ++b, out += info->block) {
    decode_block(src.type, src.data + (row * blocks + b) * info->block_bytes, block);
    const float d = f16_to_f32(block.d);
    const float m = f.has_min ? f16_to_f32(block.m) : 0;
    for (int64_t i = 0; i < info->block; ++i) {
      const float scale = is_k_quant(src.type) ? d * float(block.scales[i / group]) : d;
      const float value = scale * float(block.values[i] - (f.has_min ? 0 : f.zero_point));
      if (!f.has_min) out[i] = value;
      else out[i] = is_k_quant(src.type) ? value - m * float(block.mins[i / group]) : value + m;
    }
  }
}

}  // namespace sillar::kernels
