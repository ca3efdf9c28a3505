// Reading the packed layout with AVX-512: one 64-byte load and one or two operations give the unsigned
// operand of a vpdpbusd; scales become fp32 vectors of 16 rows. For the files of matmul/avx512*.cc.
#pragma once

#include <immintrin.h>

#include "kernels/matmul/packed.h"
#include "kernels/matmul/unroll.h"

namespace sillar::kernels {
namespace {

[[gnu::always_inline]] inline __m512i load512(const uint8_t* p) { return _mm512_loadu_si512(p); }

// A field of `bits` bits that begins at bit `from` of each byte, moved to bit `to`; other bits are noise.
template <int from, int to>
[[gnu::always_inline]] inline __m512i moved(__m512i v) {
  if constexpr (from > to) return _mm512_srli_epi16(v, from - to);
  else if constexpr (from < to) return _mm512_slli_epi16(v, to - from);
  else return v;
}

// The unsigned operand of quad q.
template <WeightType type, int q>
[[gnu::always_inline]] inline __m512i quad(const uint8_t* planes) {
  constexpr PackedFormat f = packed_format(type);
  __m512i low;
  if constexpr (f.low_bits == 8) return load512(planes + 64 * q);
  if constexpr (f.low_bits == 4)
    low = _mm512_and_si512(moved<q / 4 * 4, 0>(load512(planes + 64 * (q % 4))), _mm512_set1_epi8(15));
  if constexpr (f.low_bits == 2)
    low = _mm512_and_si512(moved<2 * (q % 4), 0>(load512(planes + 64 * (q / 4))), _mm512_set1_epi8(3));
  if constexpr (f.high_bits == 0) return low;
  constexpr int mask = ((1 << f.high_bits) - 1) << f.low_bits;
  constexpr int per_byte = f.high_bits == 1 ? 8 : 4;
  constexpr int from = q % per_byte * f.high_bits;
  const uint8_t* high = planes + low_plane_bytes(f) + 64 * (f.high_bits == 1 ? 0 : q / per_byte);
  // low | (moved & mask)
  return _mm512_ternarylogic_epi32(low, moved<from, f.low_bits>(load512(high)), _mm512_set1_epi8(mask), 0xf8);
}

[[gnu::always_inline]] inline __m512 load_f16(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
[[gnu::always_inline]] inline __m128i load128(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// d, and minus the scale of mins (or the min itself), of a packed block's 16 rows.
struct BlockScales {
  __m512 d, m;
};
template <WeightType type>
[[gnu::always_inline]] inline BlockScales block_scales(const uint8_t* block) {
  constexpr PackedFormat f = packed_format(type);
  BlockScales out{load_f16(block + d_offset(f)), _mm512_setzero_ps()};
  if constexpr (f.has_min) out.m = load_f16(block + m_offset(f));
  if constexpr (f.has_min && f.scale_bytes)
    out.m = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(out.m), _mm512_set1_epi32(int(0x80000000))));
  return out;
}

// The fp32 scale and min of half `half` of a block's group.
template <WeightType type>
[[gnu::always_inline]] inline __m512 group_scale(const BlockScales& b, const uint8_t* block, int64_t group,
                                                 int half) {
  constexpr PackedFormat f = packed_format(type);
  if constexpr (f.scale_bytes == 0) return b.d;
  const __m128i bytes = load128(block + scale_offset(f) + (group * f.scale_groups + half) * tile_rows);
  __m512i scale = _mm512_cvtepi8_epi32(bytes);
  if constexpr (f.has_min && f.scale_groups == 2) scale = _mm512_and_si512(scale, _mm512_set1_epi32(15));
  return _mm512_mul_ps(b.d, _mm512_cvtepi32_ps(scale));
}
template <WeightType type>
[[gnu::always_inline]] inline __m512 group_min(const BlockScales& b, const uint8_t* block, int64_t group, int half) {
  constexpr PackedFormat f = packed_format(type);
  if constexpr (f.scale_bytes == 0) return b.m;
  constexpr bool shared_byte = f.scale_groups == 2;
  const int64_t offset = shared_byte ? scale_offset(f) : min_offset(f);
  __m512i min = _mm512_cvtepu8_epi32(load128(block + offset + (group * f.scale_groups + half) * tile_rows));
  if constexpr (shared_byte) min = _mm512_srli_epi32(min, 4);
  return _mm512_mul_ps(b.m, _mm512_cvtepi32_ps(min));
}

// Two int16 in a 32-bit lane, -zero_point where half `half` of a group counts (both without halves):
// vpdpwssd with the two sums of a group's activations gives the accumulator's start value.
template <WeightType type>
constexpr int32_t zero_point_pair(int half) {
  constexpr PackedFormat f = packed_format(type);
  constexpr uint32_t low = uint32_t(-f.zero_point) & 0xffff, high = low << 16;
  return int32_t(f.scale_groups == 1 ? low | high : half == 0 ? low : high);
}

[[gnu::always_inline]] inline __m512i broadcast32(const void* p) {
  int value;
  __builtin_memcpy(&value, p, 4);
  return _mm512_set1_epi32(value);
}

// The rows of a tile that exist.
[[gnu::always_inline]] inline __mmask16 row_mask(int64_t rows_left) {
  return rows_left >= tile_rows ? __mmask16(0xffff) : __mmask16((1u << rows_left) - 1);
}

// One float of the 16 rows of a tile to out, with the task's epilogue.
[[gnu::always_inline]] inline void store_rows(__m512 value, const float* bias, bool add_to_out, __mmask16 rows,
                                              float* out) {
  if (bias) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(rows, bias));
  if (add_to_out) value = _mm512_add_ps(_mm512_maskz_loadu_ps(rows, out), value);
  _mm512_mask_storeu_ps(out, rows, value);
}

}  // namespace
}  // namespace sillar::kernels
