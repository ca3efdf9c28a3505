// The shares of a block's scales, for AVX2 and AVX-512; see Activations in kernels.h.
#pragma once

#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/matmul/packed.h"

namespace sillar::kernels {
namespace {

// Two groups' values quad by quad; `second` may be null.
inline void pair_up(const int8_t* first, const int8_t* second, int8_t* to) {
  const auto load = [](const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); };
  const __m256i a = load(first), b = second ? load(second) : _mm256_setzero_si256();
  const __m256i low = _mm256_unpacklo_epi32(a, b), high = _mm256_unpackhi_epi32(a, b);
  auto* out = reinterpret_cast<__m256i*>(to);
  _mm256_storeu_si256(out, _mm256_permute2x128_si256(low, high, 0x20));
  _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(low, high, 0x31));
}

// The first `count` of 8 values, the others zero. A whole block's are read as quantize_four has just written them, four at a
// time: a wider load would wait until they have left the store buffer.
inline __m256 load_scales(const float* p, int64_t count) {
  if (count == share_groups) return _mm256_set_m128(_mm_loadu_ps(p + 4), _mm_loadu_ps(p));
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count)), lanes));
}
inline __m128i load_sums(const int16_t* p, int64_t count) {
  const auto half = [](const int16_t* of) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(of)); };
  if (count == share_groups) return _mm_unpacklo_epi64(half(p), half(p + 4));
  __m128i sums = _mm_setzero_si128();
  __builtin_memcpy(&sums, p, size_t(count) * 2);
  return sums;
}
// `count` of 8 values.
template <class Vector, class T>
inline void store_some(const Vector& values, int64_t count, T* to) {
  if (count == share_groups) __builtin_memcpy(to, &values, sizeof values);
  else __builtin_memcpy(to, &values, size_t(count) * sizeof(T));
}

// Of the `count` groups of a block from `group` on; an odd one is filled up with zero.
inline void find_shares(int64_t token, int64_t group, int64_t count, const Activations& out) {
  const int64_t groups = out.cols / group_cols, at = token * share_stride(groups) + group;
  const __m256 scales = load_scales(out.scales + token * groups + group, count);
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(scales), _mm256_extractf128_ps(scales, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  const float largest = _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
  // The maximum gives its second operand for NaN, which an infinite scale leaves.
  const __m256 scaled = _mm256_mul_ps(scales, _mm256_set1_ps(largest > 0 ? share_most / largest : 0));
  const __m256 clamped = _mm256_min_ps(_mm256_max_ps(scaled, _mm256_setzero_ps()), _mm256_set1_ps(share_most));
  const __m256i integers = _mm256_cvtps_epi32(clamped);
  const __m128i shares = _mm_packs_epi32(_mm256_castsi256_si128(integers), _mm256_extracti128_si256(integers, 1));
  const __m128i sums = load_sums(out.group_sums + token * groups + group, count);
  static_assert(share_sum_factor == 8);
  const __m128i sum_shares = _mm_mulhrs_epi16(_mm_slli_epi16(sums, 3), shares);
  const __m256i starts = _mm256_mullo_epi32(_mm256_cvtepi16_epi32(sums), _mm256_set1_epi32(-row_scaled_zero_point));
  const int64_t even = share_stride(count);
  store_some(starts, even, out.starts + at);
  store_some(shares, even, out.shares + at);
  store_some(sum_shares, even, out.sum_shares + at);
  const int8_t* values = out.values + token * out.value_stride() + group * group_cols;
  int8_t* pairs = out.pairs + token * pair_stride(groups) + group * group_cols;
  for (int64_t i = 0; i < count; i += 2)
    pair_up(values + i * group_cols, i + 1 < count ? values + (i + 1) * group_cols : nullptr, pairs + i * group_cols);
  out.block_scales[token * block_stride(groups) + group / share_groups] = largest * (share_one / share_most);
}

// Of all blocks of columns [col_begin, col_end), where they are wanted.
inline void find_shares_of(int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  constexpr int64_t block = share_groups * group_cols;
  if (!out.shares_wanted) return;
  for (int64_t col = col_begin; col < col_end; col += block)
    find_shares(token, col / group_cols, (col_end - col < block ? col_end - col : block) / group_cols, out);
}

}  // namespace
}  // namespace sillar::kernels
