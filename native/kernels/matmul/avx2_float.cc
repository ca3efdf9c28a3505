// Float weights with AVX2, kept as they are in the file: fp32 FMA, one input after the other.
//
// Tile: 16 rows x 6 tokens, 12 accumulators that hide the latency of their chains; with fewer tokens 64 rows,
// so that as many chains run. Widened where they are used: the converts share no port with the FMAs' loads.
#include "kernels/matmul/avx2_parts.h"
#include "kernels/matmul/avx2_unpack.h"

namespace sillar::kernels {
namespace {

template <WeightType type>
[[gnu::always_inline]] inline __m256 load_weights(const std::byte* tile, int64_t index) {
  if constexpr (type == WeightType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(tile) + index);
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tile + 2 * index));
  if constexpr (type == WeightType::f16) return _mm256_cvtph_ps(halves);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

template <WeightType type, int tiles, int tokens>
void tile(const MatmulTask& task, int64_t row, int64_t token) {
  const int64_t cols = task.x->cols, tile_bytes = packed_tile_bytes(type, cols);
  const std::byte* packed = task.weights->data + row / tile_rows * tile_bytes;
  const float* x = task.x->f32 + token * cols;
  __m256 acc[tokens][2 * tiles];
  unroll<tokens>([&](auto t) { unroll<2 * tiles>([&](auto v) { acc[t.value][v.value] = _mm256_setzero_ps(); }); });
  for (int64_t c = 0; c < cols; ++c)
    unroll<2 * tiles>([&](auto v) {
      const __m256 w =
          load_weights<type>(packed + v.value / 2 * tile_bytes, c * tile_rows + v.value % 2 * vector_rows);
      unroll<tokens>([&](auto t) {
        acc[t.value][v.value] = _mm256_fmadd_ps(w, _mm256_broadcast_ss(x + t.value * cols + c), acc[t.value][v.value]);
      });
    });
  unroll<tokens>([&](auto t) {
    unroll<2 * tiles>([&](auto v) {
      const int64_t at = row + v.value * vector_rows;
      if (at < task.row_end)
        store_rows(acc[t.value][v.value], task.bias ? task.bias + at : nullptr, task.add_to_out, task.row_end - at,
                   task.out + (token + t.value) * task.out_stride + at);
    });
  });
}

template <WeightType type>
void multiply(const MatmulTask& task) {
  int64_t row = task.row_begin;
  const auto tiles_left = [&] { return (task.row_end - row + tile_rows - 1) / tile_rows; };
  for (; tiles_left() >= 4; row += 4 * tile_rows) {
    int64_t token = task.token_begin;
    for (; task.token_end - token >= 6; token += 6)
      unroll<4>([&](auto i) { tile<type, 1, 6>(task, row + i.value * tile_rows, token); });
    for (; token < task.token_end; ++token) tile<type, 4, 1>(task, row, token);
  }
  for (; row < task.row_end; row += tile_rows) {
    int64_t token = task.token_begin;
    for (; task.token_end - token >= 6; token += 6) tile<type, 1, 6>(task, row, token);
    for (; token < task.token_end; ++token) tile<type, 1, 1>(task, row, token);
  }
}

}  // namespace

void matmul_float_avx2(const MatmulTask& task) {
  switch (task.weights->type) {
    case WeightType::f32: return multiply<WeightType::f32>(task);
    case WeightType::f16: return multiply<WeightType::f16>(task);
    default: return multiply<WeightType::bf16>(task);
  }
}

}  // namespace sillar::kernels
