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
[[gnu::always_inline]] inline __m256i load256(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// d, and the min or minus the scale of mins, of a packed block's 16 rows.
struct BlockScales {
  __m512 d, m;
};
template <WeightType type>
[[gnu::always_inline]] inline BlockScales block_scales(const uint8_t* block) {
  constexpr PackedFormat f = packed_format(type);
  BlockScales out{load_f16(block + d_offset(f)), _mm512_setzero_ps()};
  if constexpr (f.has_min) out.m = load_f16(block + m_offset(f));
  if constexpr (f.has_min && is_k_quant(type))
    out.m = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(out.m), _mm512_set1_epi32(int(0x80000000))));
  return out;
}

// Scales (or mins) 2 * pair and 2 * pair + 1 of a k-quant's block as int16 in the 32-bit lanes of 16 rows.
template <WeightType type>
[[gnu::always_inline]] inline __m512i scale_pair(const uint8_t* block, int64_t pair) {
  constexpr PackedFormat f = packed_format(type);
  const __m512i scales = _mm512_cvtepi8_epi16(load256(block + scale_offset(f) + 2 * tile_rows * pair));
  return f.has_min && f.scale_groups == 2 ? _mm512_and_si512(scales, _mm512_set1_epi16(15)) : scales;
}
template <WeightType type>
[[gnu::always_inline]] inline __m512i min_pair(const uint8_t* block, int64_t pair) {
  constexpr PackedFormat f = packed_format(type);
  constexpr bool shared_byte = f.scale_groups == 2;
  const int64_t offset = shared_byte ? scale_offset(f) : min_offset(f);
  const __m512i mins = _mm512_cvtepu8_epi16(load256(block + offset + 2 * tile_rows * pair));
  return shared_byte ? _mm512_srli_epi16(mins, 4) : mins;
}
// One of a pair, as int32.
template <int which>
[[gnu::always_inline]] inline __m512i widened(__m512i pair) {
  return _mm512_srai_epi32(which == 0 ? _mm512_slli_epi32(pair, 16) : pair, 16);
}

[[gnu::always_inline]] inline __m512i broadcast32(const void* p) {
  int value;
  __builtin_memcpy(&value, p, 4);
  return _mm512_set1_epi32(value);
}

// Where the dot products of 16 groups begin, of which `there` are read: minus the zero point times the activations'
// sums, a pair of them a group.
template <int zero_point>
[[gnu::always_inline]] inline __m512i group_starts(const int16_t* sums, __mmask16 there) {
  const __m512i pairs = _mm512_maskz_loadu_epi32(there, sums);
  return _mm512_dpwssd_epi32(_mm512_setzero_si512(), pairs, _mm512_set1_epi16(-zero_point));
}

// The same for a block of 256 columns whose zero point has a scale for each 16.
template <int zero_point>
[[gnu::always_inline]] inline __m512i scale_starts(const int16_t* sums) {
  return _mm512_mullo_epi32(_mm512_cvtepi16_epi32(load256(reinterpret_cast<const uint8_t*>(sums))),
                            _mm512_set1_epi32(-zero_point));
}

// Row-scaled types: the unsigned operand of quad q for 8 rows and both groups of a block.
template <int q>
[[gnu::always_inline]] inline __m512i pair_quad(const uint8_t* block, int half) {
  return _mm512_and_si512(moved<q / 4 * 4, 0>(load512(block + 64 * (4 * half + q % 4))), _mm512_set1_epi8(15));
}
[[gnu::always_inline]] inline __m512i broadcast64(const void* p) {
  long long value;
  __builtin_memcpy(&value, p, 8);
  return _mm512_set1_epi64(value);
}
// sum + the dot products of 16 rows and both groups, each times its share and its weights' scale. They fit int16.
[[gnu::always_inline]] inline __m512i add_scaled_pair(__m512i sum, __m512i half0, __m512i half1, __m512i shares,
                                                      __m512i scales) {
  return _mm512_dpwssd_epi32(sum, _mm512_mulhrs_epi16(_mm512_packs_epi32(half0, half1), shares), scales);
}

// Sums over a k-quant's block of what its scales cannot give: of min_i * sum_i; or, to take off a zero point, of
// scale_i * sum_i. sum_i: of the activations that scale i belongs to.
constexpr int correction_pairs(PackedFormat f) { return block_scale_count(f) / 2; }
template <WeightType type>
[[gnu::always_inline]] inline __m512i correction_pair(const uint8_t* block, int64_t pair) {
  if constexpr (packed_format(type).has_min) return min_pair<type>(block, pair);
  else return scale_pair<type>(block, pair);
}
template <int count, class Pairs>
[[gnu::always_inline]] inline __m512i correction(const Pairs& pairs, const int16_t* sums) {
  __m512i total = _mm512_setzero_si512();
  unroll<count>([&](auto i) {
    total = _mm512_dpwssd_epi32(total, pairs(i.value), broadcast32(sums + 2 * i.value));
  });
  return total;
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
