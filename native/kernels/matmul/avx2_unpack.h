// Reading the packed layout with AVX2: 32 bytes are 8 rows x 4 columns, so a tile of 16 rows has two
// vectors a quad, 0 and 1. For the files of matmul/avx2*.cc; see packed.h and avx512_unpack.h.
#pragma once

#include <immintrin.h>

#include "kernels/matmul/packed.h"
#include "kernels/matmul/unroll.h"

namespace sillar::kernels {
namespace {

constexpr int64_t vector_rows = 8;

[[gnu::always_inline]] inline __m256i load256(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// A field that begins at bit `from` of each byte, moved to bit `to`; other bits are noise.
template <int from, int to>
[[gnu::always_inline]] inline __m256i moved(__m256i v) {
  if constexpr (from > to) return _mm256_srli_epi16(v, from - to);
  else if constexpr (from < to) return _mm256_slli_epi16(v, to - from);
  else return v;
}

// The unsigned operand of quad q, rows 8 * vector .. 8 * vector + 7.
template <WeightType type, int q>
[[gnu::always_inline]] inline __m256i quad(const uint8_t* planes, int vector) {
  constexpr PackedFormat f = packed_format(type);
  planes += 32 * vector;
  __m256i low;
  if constexpr (f.low_bits == 8) return load256(planes + 64 * q);
  if constexpr (f.low_bits == 4)
    low = _mm256_and_si256(moved<q / 4 * 4, 0>(load256(planes + 64 * (q % 4))), _mm256_set1_epi8(15));
  if constexpr (f.low_bits == 2)
    low = _mm256_and_si256(moved<2 * (q % 4), 0>(load256(planes + 64 * (q / 4))), _mm256_set1_epi8(3));
  if constexpr (f.high_bits == 0) return low;
  constexpr int mask = ((1 << f.high_bits) - 1) << f.low_bits;
  constexpr int per_byte = f.high_bits == 1 ? 8 : 4;
  constexpr int from = q % per_byte * f.high_bits;
  const uint8_t* high = planes + low_plane_bytes(f) + 64 * (f.high_bits == 1 ? 0 : q / per_byte);
  return _mm256_or_si256(low, _mm256_and_si256(moved<from, f.low_bits>(load256(high)), _mm256_set1_epi8(mask)));
}

[[gnu::always_inline]] inline __m256 load_f16(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
[[gnu::always_inline]] inline __m128i load128(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// Row-scaled types: quad q of 4 rows and both groups of a block; half 0: rows 0, 1, 4, 5, half 1: 2, 3, 6, 7 of a vector's.
template <int q>
[[gnu::always_inline]] inline __m256i pair_quad(const uint8_t* block, int half, int vector) {
  const __m256i plane = load256(block + 64 * (4 * half + q % 4) + 32 * vector);
  return _mm256_and_si256(moved<q / 4 * 4, 0>(plane), _mm256_set1_epi8(15));
}
[[gnu::always_inline]] inline __m256i broadcast64(const void* p) {
  long long value;
  __builtin_memcpy(&value, p, 8);
  return _mm256_set1_epi64x(value);
}

// d of a block, and the min or minus the scale of mins, 8 rows.
template <WeightType type>
[[gnu::always_inline]] inline __m256 block_scale(const uint8_t* block, int vector) {
  return load_f16(block + d_offset(packed_format(type)) + 16 * vector);
}
template <WeightType type>
[[gnu::always_inline]] inline __m256 block_min(const uint8_t* block, int vector) {
  const __m256 m = load_f16(block + m_offset(packed_format(type)) + 16 * vector);
  return is_k_quant(type) ? _mm256_xor_ps(m, _mm256_set1_ps(-0.0f)) : m;
}

// Scales (or mins) 2 * pair and 2 * pair + 1 of a k-quant's block as int16 in the 32-bit lanes of 8 rows.
template <WeightType type>
[[gnu::always_inline]] inline __m256i scale_pair(const uint8_t* block, int64_t pair, int vector) {
  constexpr PackedFormat f = packed_format(type);
  const __m256i scales =
      _mm256_cvtepi8_epi16(load128(block + scale_offset(f) + 2 * tile_rows * pair + 2 * vector_rows * vector));
  return f.has_min && f.scale_groups == 2 ? _mm256_and_si256(scales, _mm256_set1_epi16(15)) : scales;
}
template <WeightType type>
[[gnu::always_inline]] inline __m256i min_pair(const uint8_t* block, int64_t pair, int vector) {
  constexpr PackedFormat f = packed_format(type);
  constexpr bool shared_byte = f.scale_groups == 2;
  const int64_t offset = shared_byte ? scale_offset(f) : min_offset(f);
  const __m256i mins = _mm256_cvtepu8_epi16(load128(block + offset + 2 * tile_rows * pair + 2 * vector_rows * vector));
  return shared_byte ? _mm256_srli_epi16(mins, 4) : mins;
}
// One of a pair, twice.
template <int which>
[[gnu::always_inline]] inline __m256i doubled(__m256i pair) {
  if constexpr (which == 0) return _mm256_blend_epi16(pair, _mm256_slli_epi32(pair, 16), 0xaa);
  return _mm256_blend_epi16(_mm256_srli_epi32(pair, 16), pair, 0xaa);
}

[[gnu::always_inline]] inline __m256i broadcast32(const void* p) {
  int value;
  __builtin_memcpy(&value, p, 4);
  return _mm256_set1_epi32(value);
}

// Up to 8 rows to out, with the task's epilogue.
[[gnu::always_inline]] inline void store_rows(__m256 value, const float* bias, bool add_to_out, int64_t rows,
                                              float* out) {
  alignas(32) float values[vector_rows];
  _mm256_store_ps(values, value);
  if (rows > vector_rows) rows = vector_rows;
  for (int64_t r = 0; r < rows; ++r) {
    const float result = bias ? values[r] + bias[r] : values[r];
    out[r] = add_to_out ? out[r] + result : result;
  }
}

}  // namespace
}  // namespace sillar::kernels
