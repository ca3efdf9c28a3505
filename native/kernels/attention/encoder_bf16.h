// Encoder attention in bf16 dot products, for the AVX-512 files. The keys and values of one head of a text are packed
// once and stay in L1 or L2; a block of 6 rows has all its scores at once, so the softmax needs no second thought.
//   keys    [block of 16 tokens][head_dim / 2][16 tokens][2]        values  [token pair][head_dim][2]
// Bound by vdpbf16ps: head_dim of them for 16 scores of a row, and 6 operations more for their softmax.
#pragma once

#include "kernels/attention/tiles.h"

namespace sillar::kernels {
namespace {

constexpr int64_t dense_tokens = 1024;
constexpr int64_t dense_elements = 64 * 1024;  // of keys, and of values
constexpr int dense_rows = 6;
constexpr int64_t dense_stride = dense_tokens + 16;  // of scores: rows 4 KiB apart would share a set of the cache
constexpr float masked_score = -1e30f;  // finite: 2^x needs no clamp

struct DenseScratch {
  alignas(64) uint32_t keys[dense_elements / 2];
  alignas(64) uint32_t values[dense_elements / 2];
  alignas(64) float scores[dense_rows][dense_stride];
  alignas(64) uint16_t queries[dense_rows * max_head_dim];
};
static_assert(sizeof(DenseScratch) <= sizeof(Scratch));

inline bool fits_dense(const EncoderAttentionTask& task) {
  return task.tokens <= dense_tokens && (task.tokens + 15) / 16 * 16 * task.head_dim <= dense_elements;
}

SILLAR_INLINE __m512bh load_pairs(const uint32_t* p) { return (__m512bh)_mm512_loadu_si512(p); }
SILLAR_INLINE __m512bh broadcast_pair(const void* p) {
  int pair;
  __builtin_memcpy(&pair, p, sizeof pair);
  return (__m512bh)_mm512_set1_epi32(pair);
}

// Rows i and i + distance of a 16 x 16 matrix exchange their off-diagonal blocks, in every pair of rows.
template <int distance, class Low, class High>
SILLAR_INLINE void exchange(__m512i (&x)[16], const Low& low, const High& high) {
  for (int i = 0; i < 16; ++i) {
    if ((i & distance) != 0) continue;
    const __m512i a = x[i], b = x[i + distance];
    x[i] = low(a, b);
    x[i + distance] = high(a, b);
  }
}

SILLAR_INLINE void transpose(__m512i (&x)[16]) {
  exchange<8>(x, [](__m512i a, __m512i b) { return _mm512_shuffle_i64x2(a, b, 0x44); },
              [](__m512i a, __m512i b) { return _mm512_shuffle_i64x2(a, b, 0xee); });
  const __m512i low4 = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), high4 = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
  exchange<4>(x, [&](__m512i a, __m512i b) { return _mm512_permutex2var_epi64(a, low4, b); },
              [&](__m512i a, __m512i b) { return _mm512_permutex2var_epi64(a, high4, b); });
  exchange<2>(x, [](__m512i a, __m512i b) { return _mm512_unpacklo_epi64(a, b); },
              [](__m512i a, __m512i b) { return _mm512_unpackhi_epi64(a, b); });
  const __m512i even = _mm512_setr_epi32(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  exchange<1>(x, [&](__m512i a, __m512i b) { return _mm512_permutex2var_epi32(a, even, b); },
              [&](__m512i a, __m512i b) { return _mm512_permutex2var_epi32(a, odd, b); });
}

inline void pack_dense_keys(const EncoderAttentionTask& task, uint32_t* keys) {
  const int64_t pairs = task.head_dim / 2;
  for (int64_t first = 0; first < task.tokens; first += 16, keys += 16 * pairs)
    for (int64_t pair = 0; pair < pairs; pair += 16) {
      const bool whole = pair + 16 <= pairs;
      __m512i rows[16];
      for (int64_t t = 0; t < 16; ++t) {
        rows[t] = _mm512_setzero_si512();
        if (first + t >= task.tokens) continue;
        const float* key = task.k + (first + t) * task.stride + 2 * pair;
        rows[t] = (__m512i)_mm512_cvtne2ps_pbh(whole ? _mm512_loadu_ps(key + 16) : _mm512_setzero_ps(), _mm512_loadu_ps(key));
      }
      transpose(rows);
      for (int64_t i = 0; i < (whole ? 16 : 8); ++i) _mm512_store_si512(keys + (pair + i) * 16, rows[i]);
    }
}

inline void pack_dense_values(const EncoderAttentionTask& task, uint32_t* values) {
  for (int64_t t = 0; t < task.tokens; t += 2, values += task.head_dim)
    for (int64_t d = 0; d < task.head_dim; d += 16) {
      const float* value = task.v + t * task.stride + d;
      const auto bits = [](const float* p) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(p))); };
      __m512i pair = bits(value);
      if (t + 1 < task.tokens) pair = _mm512_or_si512(pair, _mm512_slli_epi32(bits(value + task.stride), 16));
      _mm512_store_si512(values + d, pair);
    }
}

// acc[r][c] += sum over steps of column c's vectors (`next` apart from step to step) times row r's pairs.
template <int R, int C>
SILLAR_INLINE void multiply_pairs(const uint32_t* columns, int64_t column_step, int64_t next, const uint16_t* rows,
                                  int64_t row_stride, int64_t steps, __m512 (&acc)[R][C]) {
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) acc[r][c] = _mm512_setzero_ps();
  for (int64_t step = 0; step < steps; ++step) {
    __m512bh column[C];
    for (int c = 0; c < C; ++c) column[c] = load_pairs(columns + step * next + c * column_step);
    for (int r = 0; r < R; ++r) {
      const __m512bh row = broadcast_pair(rows + r * row_stride + 2 * step);
      for (int c = 0; c < C; ++c) acc[r][c] = _mm512_dpbf16_ps(acc[r][c], column[c], row);
    }
  }
}

template <int R, int C>
SILLAR_INLINE void dense_score_columns(DenseScratch& s, int64_t head_dim, int64_t vector) {
  __m512 acc[R][C];
  multiply_pairs<R, C>(s.keys + vector * 8 * head_dim, 8 * head_dim, 16, s.queries, head_dim, head_dim / 2, acc);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) _mm512_store_ps(&s.scores[r][(vector + c) * 16], acc[r][c]);
}

// 2^x for x <= 0, relative error 1e-4: the result is rounded to bf16, 2e-3. scalef takes the floor of x itself.
SILLAR_INLINE __m512 exp2_for_bf16(__m512 x) {
  const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(0.078024521f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.22606716f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.69583356f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.9999252f));
  return _mm512_scalef_ps(p, x);
}

// The rows' scores become bf16 weights in the first half of their memory; factor: 1 / sum. Step by step for all rows: one
// row's steps wait for each other.
template <int R>
SILLAR_INLINE void dense_softmax(DenseScratch& s, int64_t tokens, float (&factor)[R]) {
  const int64_t vectors = (tokens + 15) / 16;
  const auto there = __mmask16(0xffffu >> (vectors * 16 - tokens));
  __m512 max[R], sum[R];
  for (int r = 0; r < R; ++r) {
    float* last = s.scores[r] + (vectors - 1) * 16;
    max[r] = _mm512_mask_mov_ps(_mm512_set1_ps(masked_score), there, _mm512_load_ps(last));
    _mm512_store_ps(last, max[r]);
    if (vectors % 2 != 0) _mm512_store_ps(last + 16, _mm512_set1_ps(masked_score));
    sum[r] = _mm512_setzero_ps();
  }
  for (int64_t v = 0; v < vectors - 1; ++v)
    for (int r = 0; r < R; ++r) max[r] = _mm512_max_ps(max[r], _mm512_load_ps(s.scores[r] + v * 16));
  for (int r = 0; r < R; ++r) max[r] = _mm512_set1_ps(_mm512_reduce_max_ps(max[r]));
  for (int64_t v = 0; v < vectors; v += 2)
    for (int r = 0; r < R; ++r) {
      const __m512 a = exp2_for_bf16(_mm512_sub_ps(_mm512_load_ps(s.scores[r] + v * 16), max[r]));
      const __m512 b = exp2_for_bf16(_mm512_sub_ps(_mm512_load_ps(s.scores[r] + v * 16 + 16), max[r]));
      sum[r] = _mm512_add_ps(sum[r], _mm512_add_ps(a, b));
      _mm512_store_si512(reinterpret_cast<uint16_t*>(s.scores[r]) + v * 16, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    }
  for (int r = 0; r < R; ++r) factor[r] = 1.0f / _mm512_reduce_add_ps(sum[r]);
}

template <int R, int C>
SILLAR_INLINE void dense_value_columns(const DenseScratch& s, const EncoderAttentionTask& task, int64_t row, int64_t d,
                                       const float (&factor)[R]) {
  __m512 acc[R][C];
  multiply_pairs<R, C>(s.values + d, 16, task.head_dim, reinterpret_cast<const uint16_t*>(s.scores[0]), 2 * dense_stride,
                       (task.tokens + 1) / 2, acc);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      _mm512_storeu_ps(task.out + (row + r) * task.out_stride + d + 16 * c, _mm512_mul_ps(acc[r][c], _mm512_set1_ps(factor[r])));
}

template <int R>
void dense_rows_of(DenseScratch& s, const EncoderAttentionTask& task, int64_t row) {
  const int64_t n = task.head_dim, vectors = (task.tokens + 15) / 16;
  const __m512 scale = _mm512_set1_ps(task.scale * log2_e);
  for (int r = 0; r < R; ++r)
    for (int64_t d = 0; d < n; d += 16) {
      const __m512 q = _mm512_mul_ps(_mm512_loadu_ps(task.q + (row + r) * task.stride + d), scale);
      _mm256_store_si256((__m256i*)(s.queries + r * n + d), (__m256i)_mm512_cvtneps_pbh(q));
    }
  int64_t v = 0;
  for (; v + 4 <= vectors; v += 4) dense_score_columns<R, 4>(s, n, v);
  for (; v < vectors; ++v) dense_score_columns<R, 1>(s, n, v);
  float factor[R];
  dense_softmax<R>(s, task.tokens, factor);
  int64_t d = 0;
  for (; d + 64 <= n; d += 64) dense_value_columns<R, 4>(s, task, row, d, factor);
  for (; d + 32 <= n; d += 32) dense_value_columns<R, 2>(s, task, row, d, factor);
  for (; d < n; d += 16) dense_value_columns<R, 1>(s, task, row, d, factor);
}

inline void encoder_attention_bf16(const EncoderAttentionTask& task, DenseScratch& s) {
  pack_dense_keys(task, s.keys);
  pack_dense_values(task, s.values);
  int64_t row = 0;
  for (; row + dense_rows <= task.tokens; row += dense_rows) dense_rows_of<dense_rows>(s, task, row);
  for (; row + 2 <= task.tokens; row += 2) dense_rows_of<2>(s, task, row);
  if (row < task.tokens) dense_rows_of<1>(s, task, row);
}

}  // namespace
}  // namespace sillar::kernels
