// The AVX-512 VNNI matmul's table: which kernel a product takes, how it is dealt, and the quantisation.
#include "kernels/isa_entries.h"
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/blocks.h"
#include "kernels/matmul/tiling.h"

namespace sillar::kernels {
namespace {

// Up to here weights are unpacked anew for each 16 tokens, while more are on their way; a panel pays from there on.
constexpr int64_t stream_tokens_max = 32;

void matmul(const MatmulTask& task, std::byte* scratch) {
  if (is_float(task.weights->type)) return matmul_float_avx512(task, scratch);
  if (task.token_end - task.token_begin <= stream_tokens_max) return matmul_stream_avx512(task);
  matmul_panel_avx512(task, scratch);
}

void quantize_group(const float* x, int8_t* values, float* scale, int16_t* sums, float* group_sum) {
  const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  const float largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
  const bool usable = largest > 1e-30f;
  const __m512 inverse = _mm512_set1_ps(usable ? 127.0f / largest : 0);
  *scale = usable ? largest / 127.0f : 0;
  const __m512 low = _mm512_set1_ps(-127), high = _mm512_set1_ps(127);
  const auto rounded = [&](__m512 v) {  // max first: it gives its second operand for NaN
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(v, inverse), low), high));
  };
  const __m512i first = rounded(a), second = rounded(b);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values), _mm512_cvtepi32_epi8(first));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values + 16), _mm512_cvtepi32_epi8(second));
  sums[0] = int16_t(_mm512_reduce_add_epi32(first));
  sums[1] = int16_t(_mm512_reduce_add_epi32(second));
  *group_sum = float(sums[0] + sums[1]);
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
  const __m512 low = _mm512_set1_ps(-127), high = _mm512_set1_ps(127);
  const auto rounded = [&](const float* p, __m512 inverse) {  // max first: it gives its second operand for NaN
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(_mm512_loadu_ps(p), inverse), low), high));
  };
  const __m512i first = _mm512_packs_epi32(rounded(x, inverse0), rounded(x + 16, inverse0));
  const __m512i second = _mm512_packs_epi32(rounded(x + 32, inverse1), rounded(x + 48, inverse1));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, second));
}

// The same as quantize_group for four groups at once: their horizontal sums and divisions share instructions.
void quantize_four(const float* x, int8_t* values, float* scales, int16_t* sums, float* group_sums) {
  const __m128 largest = largest_of_four(x), limit = _mm_set1_ps(127.0f);
  const __mmask8 usable = _mm_cmp_ps_mask(largest, _mm_set1_ps(1e-30f), _CMP_GT_OQ);
  _mm_storeu_ps(scales, _mm_maskz_div_ps(usable, largest, limit));
  const __m512 inverse = _mm512_castps128_ps512(_mm_maskz_div_ps(usable, limit, largest));
  const auto lane = [&](int i) { return _mm512_permutexvar_ps(_mm512_set1_epi32(i), inverse); };
  const __m512i a = rounded_pair(x, lane(0), lane(1)), b = rounded_pair(x + 64, lane(2), lane(3));
  _mm512_storeu_si512(values, a);
  _mm512_storeu_si512(values + 64, b);
  const __m512i ones = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
  const __m512i c = _mm512_dpbusd_epi32(zero, ones, a), d = _mm512_dpbusd_epi32(zero, ones, b);
  const __m512i pairs = _mm512_add_epi32(_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
  const __m512i halves = _mm512_add_epi32(pairs, _mm512_shuffle_epi32(pairs, _MM_PERM_CDAB));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i eight = _mm256_cvtepi32_epi16(_mm512_castsi512_si256(_mm512_permutexvar_epi32(order, halves)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), eight);
  _mm_storeu_ps(group_sums, _mm_cvtepi32_ps(_mm_madd_epi16(eight, _mm_set1_epi16(1))));
}

void quantize(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  if (out.f32) __builtin_memcpy(out.f32 + token * out.cols + col_begin, x + col_begin, size_t(col_end - col_begin) * 4);
  const int64_t groups = out.cols / group_cols;
  int64_t g = col_begin / group_cols;
  for (; g + 4 <= col_end / group_cols; g += 4) {
    const int64_t at = token * groups + g;
    quantize_four(x + g * group_cols, out.values + token * out.cols + g * group_cols, out.scales + at,
                  out.sums + 2 * at, out.group_sums + at);
  }
  for (; g < col_end / group_cols; ++g) {
    const int64_t at = token * groups + g;
    quantize_group(x + g * group_cols, out.values + token * out.cols + g * group_cols, out.scales + at,
                   out.sums + 2 * at, out.group_sums + at);
  }
}

Tiling tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  return tokens > stream_tokens_max ? panel_tiling(weights, tokens, threads) : stream_tiling(weights, tokens, threads);
}

const MatmulKernels table = {Isa::avx512, quantize, matmul, dequantize_row, tiling, panel_scratch_bytes_avx512};

}  // namespace

const MatmulKernels* matmul_avx512() { return &table; }

}  // namespace sillar::kernels
