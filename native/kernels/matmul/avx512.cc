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

void quantize(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  if (out.f32) __builtin_memcpy(out.f32 + token * out.cols + col_begin, x + col_begin, size_t(col_end - col_begin) * 4);
  const int64_t groups = out.cols / group_cols;
  for (int64_t g = col_begin / group_cols; g < col_end / group_cols; ++g) {
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
