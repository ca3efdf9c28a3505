// q4_0 and q4_1, whose scales are whole numbers, so that two groups of columns share the instructions that apply them.
//
// Weights are read in the order they lie and unpacked in registers for 8 tokens: quad by quad two operands of 8 rows add
// to 16 int32 accumulators of dot products; 8 more are the sums of a block of 256 columns. Many tokens come in
// blocks that stay in L2 while all row tiles of the task meet them.
// Bound by the two pipes that do vpdpbusd, vpmulhrsw, vpdpwssd and FMA, from about 3 tokens on: a block and 8
// tokens take 128, 8 and 8 (with mins 16) of them, and 256 columns 8 FMAs; with fewer, by memory.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/passes.h"
#include "kernels/matmul/tokens.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

constexpr int64_t token_bytes = 256 * 1024;  // of a block of tokens

// sums += a block of two groups, all tokens.
template <WeightType type, int tokens>
[[gnu::always_inline]] inline void add_pair(const uint8_t* block, const Tokens& x, int64_t pair, __m512i* sums) {
  constexpr PackedFormat f = packed_format(type);
  for (int64_t line = 0; line < packed_block_bytes(f); line += 64) prefetch_l1(block + prefetch_ahead + line);
  const int8_t* values = x.pairs + 2 * pair * group_cols;
  __m512i dots[tokens][2];
  unroll<tokens>([&](auto t) {
    dots[t.value][0] = dots[t.value][1] = broadcast64(x.starts + t.value * share_stride(x.groups) + 2 * pair);
  });
  unroll<int(group_quads)>([&](auto i) {
    constexpr int q = i.value / 2 + i.value % 2 * 4;  // both nibbles of a vector
    const __m512i operand0 = pair_quad<q>(block, 0), operand1 = pair_quad<q>(block, 1);
    unroll<tokens>([&](auto t) {
      const __m512i value = broadcast64(values + t.value * pair_stride(x.groups) + 8 * q);
      dots[t.value][0] = _mm512_dpbusd_epi32(dots[t.value][0], operand0, value);
      dots[t.value][1] = _mm512_dpbusd_epi32(dots[t.value][1], operand1, value);
    });
  });
  const __m512i scales = load512(block + scale_offset(f));
  unroll<tokens>([&](auto t) {
    const int64_t at = t.value * share_stride(x.groups) + 2 * pair;
    __m512i& sum = sums[t.value];
    sum = add_scaled_pair(sum, dots[t.value][0], dots[t.value][1], broadcast32(x.shares + at), scales);
    if constexpr (f.has_min)
      sum = _mm512_dpwssd_epi32(sum, broadcast32(x.sum_shares + at), load512(block + min_offset(f)));
  });
}

// One row tile, all columns.
template <WeightType type, int tokens>
[[gnu::flatten]] void multiply_tile(const MatmulTask& task, int64_t row, int64_t token) {
  constexpr PackedFormat f = packed_format(type);
  const int64_t groups = task.x->cols / group_cols;
  const int64_t tile_bytes = packed_tile_bytes(type, task.x->cols);
  const auto* tile = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  const uint8_t* block = tile + unit_bytes(f);
  const bool many = task.token_end - task.token_begin > 16;
  __m512 acc[tokens];
  unroll<tokens>([&](auto t) {
    acc[t.value] = _mm512_setzero_ps();
    if (many) prefetch_written(task.out + (token + t.value) * task.out_stride + row);  // fewer are in cache
  });
  for (int64_t g = 0; g < groups; g += share_groups) {
    const Tokens x = tokens_at(*task.x, token, g);
    __m512i sums[tokens];
    unroll<tokens>([&](auto t) { sums[t.value] = _mm512_setzero_si512(); });
    for (int64_t pair = 0; pair < share_groups / 2 && g + 2 * pair < groups; ++pair, block += packed_block_bytes(f))
      add_pair<type, tokens>(block, x, pair, sums);
    unroll<tokens>([&](auto t) {
      const __m512 scale = _mm512_set1_ps(x.block_scales[t.value * block_stride(x.groups)]);
      acc[t.value] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t.value]), scale, acc[t.value]);
    });
  }
  const __m512 units = _mm512_loadu_ps(tile);
  const __mmask16 rows = row_mask(task.row_end - row);
  unroll<tokens>([&](auto t) {
    store_rows(_mm512_mul_ps(acc[t.value], units), task.bias ? task.bias + row : nullptr, task.add_to_out, rows,
               task.out + (token + t.value) * task.out_stride + row);
  });
}

template <WeightType type>
void multiply(const MatmulTask& task) {
  const int64_t fitting = token_bytes / pair_stride(task.x->cols / group_cols) / 8 * 8, tokens = fitting > 8 ? fitting : 8;
  MatmulTask block = task;
  for (; block.token_begin < task.token_end; block.token_begin = block.token_end) {
    block.token_end = block.token_begin + tokens < task.token_end ? block.token_begin + tokens : task.token_end;
    for_passes<8>(block, [&](auto n, int64_t row, int64_t token) {
      multiply_tile<type, n.value>(block, row, token);
    });
  }
}

}  // namespace

void matmul_pairs_avx512(const MatmulTask& task) {
  if (task.weights->type == WeightType::q4_0) multiply<WeightType::q4_0>(task);
  else multiply<WeightType::q4_1>(task);
}

}  // namespace sillar::kernels
