// The AVX-512 VNNI matmul's table: which kernel a product takes, how it is dealt, and the quantisation.
#include "kernels/isa_entries.h"
#include "kernels/matmul/avx2_shares.h"
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/blocks.h"
#include "kernels/matmul/tiling.h"

namespace sillar::kernels {
namespace {

void matmul(const MatmulTask& task, std::byte* scratch) {
  if (is_float(task.weights->type)) return matmul_float_avx512(task, scratch);
  if (is_row_scaled(task.weights->type)) return matmul_pairs_avx512(task);
  if (task.token_end - task.token_begin <= stream_tokens_max) return matmul_stream_avx512(task);
  if (task.weights->type == WeightType::q8_128) return matmul_bytes_avx512(task, scratch);
  matmul_panel_avx512(task, scratch);
}

float largest_of(const float* x, int64_t n) {
  __m512 even = _mm512_setzero_ps(), odd = even;
  for (int64_t i = 0; i < n; i += group_cols) {
    even = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + i)), even);
    odd = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + i + 16)), odd);
  }
  return _mm512_reduce_max_ps(_mm512_max_ps(even, odd));
}

// 16 of x, at most 127 in magnitude once scaled. The maximum gives its second operand for NaN.
__m512i scaled_to_int(const float* x, __m512 inverse) {
  return _mm512_cvtps_epi32(_mm512_max_ps(_mm512_mul_ps(_mm512_loadu_ps(x), inverse), _mm512_set1_ps(-127)));
}

void quantize_group(const float* x, float largest, int64_t token, int64_t group, const Activations& out) {
  const int64_t at = token * (out.cols / group_cols) + group;
  const bool usable = largest > 1e-30f;
  const __m512 inverse = _mm512_set1_ps(usable ? 127.0f / largest : 0);
  const __m512i first = scaled_to_int(x, inverse), second = scaled_to_int(x + 16, inverse);
  int8_t* values = out.values + token * out.value_stride() + group * group_cols;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values), _mm512_cvtepi32_epi8(first));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values + 16), _mm512_cvtepi32_epi8(second));
  const int first_sum = _mm512_reduce_add_epi32(first), second_sum = _mm512_reduce_add_epi32(second);
  out.scales[at] = usable ? largest / 127.0f : 0;
  out.sums[2 * at] = int16_t(first_sum);
  out.sums[2 * at + 1] = int16_t(second_sum);
  out.group_sums[at] = int16_t(first_sum + second_sum);
  out.group_sums_f32[at] = float(first_sum + second_sum);
}

// The largest magnitude of each of four groups.
__m128 largest_of_four(const float* x) {
  __m512 m[4];
  for (int i = 0; i < 4; ++i)
    m[i] = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + 32 * i)), _mm512_abs_ps(_mm512_loadu_ps(x + 32 * i + 16)));
  const __m512 low = _mm512_max_ps(_mm512_unpacklo_ps(m[0], m[1]), _mm512_unpackhi_ps(m[0], m[1]));
  const __m512 high = _mm512_max_ps(_mm512_unpacklo_ps(m[2], m[3]), _mm512_unpackhi_ps(m[2], m[3]));
  const __m512d a = _mm512_castps_pd(low), b = _mm512_castps_pd(high);
  const __m512 all = _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  return _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

// Two groups of x as 64 bytes.
__m512i rounded_pair(const float* x, __m512 inverse0, __m512 inverse1) {
  const __m512i first = _mm512_packs_epi32(scaled_to_int(x, inverse0), scaled_to_int(x + 16, inverse0));
  const __m512i second = _mm512_packs_epi32(scaled_to_int(x + 32, inverse1), scaled_to_int(x + 48, inverse1));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, second));
}

// The same as quantize_group for four groups at once: their horizontal sums and divisions share instructions.
void quantize_four(const float* x, __m128 largest, int64_t token, int64_t group, const Activations& out) {
  const int64_t at = token * (out.cols / group_cols) + group;
  const __m128 limit = _mm_set1_ps(127.0f);
  const __mmask8 usable = _mm_cmp_ps_mask(largest, _mm_set1_ps(1e-30f), _CMP_GT_OQ);
  _mm_storeu_ps(out.scales + at, _mm_maskz_div_ps(usable, largest, limit));
  const __m512 inverse = _mm512_castps128_ps512(_mm_maskz_div_ps(usable, limit, largest));
  const auto lane = [&](int i) { return _mm512_permutexvar_ps(_mm512_set1_epi32(i), inverse); };
  const __m512i a = rounded_pair(x, lane(0), lane(1)), b = rounded_pair(x + 64, lane(2), lane(3));
  int8_t* values = out.values + token * out.value_stride() + group * group_cols;
  _mm512_storeu_si512(values, a);
  _mm512_storeu_si512(values + 64, b);
  const __m512i ones = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
  const __m512i c = _mm512_dpbusd_epi32(zero, ones, a), d = _mm512_dpbusd_epi32(zero, ones, b);
  const __m512i pairs = _mm512_add_epi32(_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
  const __m512i halves = _mm512_add_epi32(pairs, _mm512_shuffle_epi32(pairs, _MM_PERM_CDAB));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i eight = _mm256_cvtepi32_epi16(_mm512_castsi512_si256(_mm512_permutexvar_epi32(order, halves)));
  const __m128i four = _mm_madd_epi16(eight, _mm_set1_epi16(1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out.sums + 2 * at), eight);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out.group_sums + at), _mm_packs_epi32(four, four));
  _mm_storeu_ps(out.group_sums_f32 + at, _mm_cvtepi32_ps(four));
}

void quantize_groups(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  constexpr int64_t four = 4 * group_cols;
  int64_t col = col_begin;
  if (out.scale_cols != group_cols) {
    for (; col + out.scale_cols <= col_end; col += out.scale_cols) {
      const __m128 largest = _mm_set1_ps(largest_of(x + col, out.scale_cols));
      for (int64_t i = col; i < col + out.scale_cols; i += four) quantize_four(x + i, largest, token, i / group_cols, out);
    }
    return;
  }
  for (; col + four <= col_end; col += four)
    quantize_four(x + col, largest_of_four(x + col), token, col / group_cols, out);
  for (; col + group_cols <= col_end; col += group_cols)
    quantize_group(x + col, largest_of(x + col, group_cols), token, col / group_cols, out);
}

void quantize(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  if (out.f32) __builtin_memcpy(out.f32 + token * out.cols + col_begin, x + col_begin, size_t(col_end - col_begin) * 4);
  quantize_groups(x, col_begin, col_end, token, out);
  find_shares_of(col_begin, col_end, token, out);
}

Tiling tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  const bool pairs = is_row_scaled(weights.type);
  if (tokens <= (pairs ? pair_stream_tokens_max : stream_tokens_max)) return stream_tiling(weights, tokens, threads);
  return pairs ? pair_tiling(weights, tokens, threads) : panel_tiling(weights, tokens, threads);
}

const MatmulKernels table = {Isa::avx512, quantize, matmul, dequantize_row, tiling, panel_scratch_bytes_avx512};

}  // namespace

const MatmulKernels* matmul_avx512() { return &table; }

}  // namespace sillar::kernels
