// Decode: 1 to 32 tokens against weights that are read in the order they lie, unpacked in registers.
//
// Tile: 16 rows x up to 16 tokens, 16 fp32 accumulators and 8 operands in registers. A group of 32 columns: 8 operands of 64 bytes, each used by every token
// (vpdpbusd with the activation as a broadcast 32-bit operand), then one convert, multiply and FMA a token.
// Bound by memory with few tokens, by vpdpbusd and the unpacking's shifts and ands from about 3 on.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/tokens.h"

namespace sillar::kernels {
namespace {

constexpr int64_t prefetch_ahead = 8192;

template <WeightType type, int half>
[[gnu::always_inline]] inline __m512i dot(const __m512i* operands, const int8_t* values, const int16_t* sums) {
  constexpr PackedFormat f = packed_format(type);
  constexpr int quads = int(group_quads) / f.scale_groups;
  __m512i acc = _mm512_setzero_si512();
  if constexpr (f.zero_point != 0)
    acc = _mm512_dpwssd_epi32(acc, broadcast32(sums), _mm512_set1_epi32(zero_point_pair<type>(half)));
  unroll<quads>([&](auto q) {
    constexpr int at = half * quads + q.value;
    acc = _mm512_dpbusd_epi32(acc, operands[at], broadcast32(values + 4 * at));
  });
  return acc;
}

// One group of 32 columns, all tokens.
template <WeightType type, int tokens>
[[gnu::always_inline]] inline void add_group(const uint8_t* block, const BlockScales& scales, int64_t group,
                                             const Tokens& x, int64_t x_group, __m512* acc) {
  constexpr PackedFormat f = packed_format(type);
  const uint8_t* planes = block + group * group_bytes(f);
  // Each group fetches its share of a whole block: the scales at a block's end, too, come in time.
  constexpr int64_t share = packed_block_bytes(f) / block_groups(f);
  for (int64_t line = 0; line < share; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(block + group * share + prefetch_ahead + line), _MM_HINT_T0);
  __m512i operands[group_quads];
  unroll<int(group_quads)>([&](auto q) { operands[q.value] = quad<type, q.value>(planes); });
  __m512 scale[2], min[2];
  unroll<f.scale_groups>([&](auto h) {
    scale[h.value] = group_scale<type>(scales, block, group, h.value);
    if constexpr (f.has_min) min[h.value] = group_min<type>(scales, block, group, h.value);
  });
  unroll<tokens>([&](auto token) {
    constexpr int t = token.value;
    const int8_t* values = x.values + t * x.cols + x_group * group_cols;
    const int64_t at = t * x.groups + x_group;
    __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dot<type, 0>(operands, values, x.sums + 2 * at)), scale[0]);
    if constexpr (f.scale_groups == 2)
      sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot<type, 1>(operands, values, x.sums + 2 * at)), scale[1], sum);
    if constexpr (f.has_min && f.scale_groups == 1)
      sum = _mm512_fmadd_ps(_mm512_set1_ps(x.group_sums[at]), min[0], sum);
    if constexpr (f.has_min && f.scale_groups == 2)
      unroll<2>([&](auto h) {
        sum = _mm512_fmadd_ps(_mm512_set1_ps(float(x.sums[2 * at + h.value])), min[h.value], sum);
      });
    acc[t] = _mm512_fmadd_ps(sum, _mm512_set1_ps(x.scales[at]), acc[t]);
  });
}

template <WeightType type, int tokens>
void stream(const MatmulTask& task, const Tokens& x, int64_t token) {
  constexpr PackedFormat f = packed_format(type);
  const PackedMatrix& w = *task.weights;
  const int64_t blocks = w.cols / f.block_cols;
  const auto* block = reinterpret_cast<const uint8_t*>(w.data) +
                      task.row_begin / tile_rows * packed_tile_bytes(type, w.cols);
  for (int64_t row = task.row_begin; row < task.row_end; row += tile_rows) {
    __m512 acc[tokens];
    unroll<tokens>([&](auto t) { acc[t.value] = _mm512_setzero_ps(); });
    for (int64_t b = 0; b < blocks; ++b, block += packed_block_bytes(f)) {
      const BlockScales scales = block_scales<type>(block);
      for (int64_t g = 0; g < block_groups(f); ++g)
        add_group<type, tokens>(block, scales, g, x, b * block_groups(f) + g, acc);
    }
    const __mmask16 rows = row_mask(task.row_end - row);
    unroll<tokens>([&](auto t) {
      store_rows(acc[t.value], task.bias ? task.bias + row : nullptr, task.add_to_out, rows,
                 task.out + (token + t.value) * task.out_stride + row);
    });
  }
}

template <WeightType type>
void stream_tokens(const MatmulTask& task) {
  for (int64_t token = task.token_begin; token < task.token_end;) {
    const Tokens x = tokens_at(*task.x, token, 0);
    const int64_t left = task.token_end - token;
    if (left >= 16) stream<type, 16>(task, x, token), token += 16;
    else if (left >= 8) stream<type, 8>(task, x, token), token += 8;
    else if (left >= 4) stream<type, 4>(task, x, token), token += 4;
    else if (left >= 2) stream<type, 2>(task, x, token), token += 2;
    else stream<type, 1>(task, x, token), token += 1;
  }
}

}  // namespace

void matmul_stream_avx512(const MatmulTask& task) {
  switch (task.weights->type) {
    case WeightType::q4_0: return stream_tokens<WeightType::q4_0>(task);
    case WeightType::q4_1: return stream_tokens<WeightType::q4_1>(task);
    case WeightType::q5_0: return stream_tokens<WeightType::q5_0>(task);
    case WeightType::q5_1: return stream_tokens<WeightType::q5_1>(task);
    case WeightType::q8_0: return stream_tokens<WeightType::q8_0>(task);
    case WeightType::q2_k: return stream_tokens<WeightType::q2_k>(task);
    case WeightType::q3_k: return stream_tokens<WeightType::q3_k>(task);
    case WeightType::q4_k: return stream_tokens<WeightType::q4_k>(task);
    case WeightType::q5_k: return stream_tokens<WeightType::q5_k>(task);
    case WeightType::q6_k: return stream_tokens<WeightType::q6_k>(task);
    default: return;  // float weights go elsewhere
  }
}

}  // namespace sillar::kernels
