// Decode: 1 to 32 tokens against weights that are read in the order they lie, unpacked in registers.
//
// Tile: 16 rows x up to 16 tokens, 16 accumulators and 8 operands in registers. A group of 32 columns: 8 operands
// of 64 bytes, each used by every token (vpdpbusd with the activation as a broadcast 32-bit operand), then one
// convert, multiply and FMA a token; k-quants, up to 8 tokens: a multiplication by the integer scale, floats once in 256 columns.
// Bound by memory with few tokens, by vpdpbusd and the unpacking's shifts and ands from about 3 on.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/passes.h"
#include "kernels/matmul/tokens.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

// Each group fetches its share of a whole block ahead: the scales at a block's end, too, come in time.
template <WeightType type>
[[gnu::always_inline]] inline void prefetch_share(const uint8_t* block, int64_t group) {
  constexpr PackedFormat f = packed_format(type);
  constexpr int64_t share = packed_block_bytes(f) / block_groups(f);
  block += group * share;
  for (int64_t line = 0; line < share; line += 64) prefetch_l1(block + prefetch_ahead + line);
}

// `start` plus the dot product of quads [begin, begin + quads) of a group with one token.
template <int begin, int quads>
[[gnu::always_inline]] inline __m512i dot(__m512i start, const __m512i* operands, const int8_t* values) {
  unroll<quads>([&](auto q) {
    start = _mm512_dpbusd_epi32(start, operands[q.value], broadcast32(values + 4 * (begin + q.value)));
  });
  return start;
}

template <WeightType type, int begin, int quads>
[[gnu::always_inline]] inline void load_operands(const uint8_t* planes, __m512i* operands) {
  unroll<quads>([&](auto q) { operands[q.value] = quad<type, begin + q.value>(planes); });
}

// Where dot products begin is found for 16 groups at once, which pays from four tokens on.
constexpr int64_t start_groups = 16;
template <WeightType type, int tokens>
constexpr bool finds_starts = packed_format(type).zero_point != 0 && tokens >= 4;

template <WeightType type, int tokens>
[[gnu::always_inline]] inline void find_starts(const Tokens& x, int64_t groups, int32_t (&starts)[tokens][start_groups]) {
  constexpr int zero_point = packed_format(type).zero_point;
  const __mmask16 there = groups < start_groups ? __mmask16((1u << groups) - 1) : __mmask16(0xffff);
  unroll<tokens>([&](auto t) {
    _mm512_store_si512(starts[t.value], group_starts<zero_point>(x.sums + 2 * t.value * x.groups, there));
  });
}

// A block of 32 columns, all tokens.
template <WeightType type, int tokens>
[[gnu::always_inline]] inline void add_block(const uint8_t* block, const Tokens& x, const int32_t* starts,
                                             __m512* acc) {
  constexpr PackedFormat f = packed_format(type);
  prefetch_share<type>(block, 0);
  const BlockScales scales = block_scales<type>(block);
  __m512i operands[group_quads];
  load_operands<type, 0, group_quads>(block, operands);
  unroll<tokens>([&](auto token) {
    constexpr int t = token.value;
    const int64_t at = t * x.groups;
    __m512i start = _mm512_setzero_si512();
    if constexpr (finds_starts<type, tokens>)
      start = _mm512_set1_epi32(starts[t * start_groups]);
    else if constexpr (f.zero_point != 0)
      start = _mm512_dpwssd_epi32(start, broadcast32(x.sums + 2 * at), _mm512_set1_epi16(-f.zero_point));
    const __m512i dots = dot<0, group_quads>(start, operands, x.values + t * x.stride);
    __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dots), scales.d);
    if constexpr (f.has_min) sum = _mm512_fmadd_ps(_mm512_set1_ps(x.group_sums_f32[at]), scales.m, sum);
    acc[t] = _mm512_fmadd_ps(sum, _mm512_set1_ps(x.scales[at]), acc[t]);
  });
}

// A block of several groups of 32 columns that share a scale, all tokens.
template <WeightType type, int tokens>
[[gnu::always_inline]] inline void add_wide_block(const uint8_t* block, const Tokens& x, __m512* acc) {
  constexpr PackedFormat f = packed_format(type);
  const __m512i minus_zero_point = _mm512_set1_epi16(-f.zero_point);
  __m512i dots[tokens];
  unroll<tokens>([&](auto t) { dots[t.value] = _mm512_setzero_si512(); });
  for (int64_t group = 0; group < block_groups(f); ++group) {
    prefetch_share<type>(block, group);
    __m512i operands[group_quads];
    load_operands<type, 0, group_quads>(block + group * group_bytes(f), operands);
    unroll<tokens>([&](auto t) {
      const int64_t at = t.value * x.groups + group;
      const __m512i start = _mm512_dpwssd_epi32(dots[t.value], broadcast32(x.sums + 2 * at), minus_zero_point);
      dots[t.value] = dot<0, group_quads>(start, operands, x.values + t.value * x.stride + group * group_cols);
    });
  }
  const __m512 scale = block_scales<type>(block).d;
  unroll<tokens>([&](auto t) {
    const __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[t.value]), scale);
    acc[t.value] = _mm512_fmadd_ps(sum, _mm512_set1_ps(x.scales[t.value * x.groups]), acc[t.value]);
  });
}

// sums += scale * dot product of quads [begin, begin + quads) of a group, all tokens.
template <WeightType type, int tokens, int begin, int quads>
[[gnu::always_inline]] inline void add_scaled(const uint8_t* planes, __m512i scale, const int8_t* values, int64_t stride,
                                              __m512i* sums) {
  const auto add = [&](int t, __m512i dots) { sums[t] = _mm512_add_epi32(sums[t], _mm512_mullo_epi32(dots, scale)); };
  if constexpr (quads < group_quads) {
    __m512i operands[quads];
    load_operands<type, begin, quads>(planes, operands);
    unroll<tokens>([&](auto t) {
      add(t.value, dot<begin, quads>(_mm512_setzero_si512(), operands, values + t.value * stride));
    });
  } else {  // quad by quad: chains of 8 would wait for themselves
    __m512i dots[tokens];
    unroll<tokens>([&](auto t) { dots[t.value] = _mm512_setzero_si512(); });
    unroll<quads>([&](auto i) {
      constexpr int q = i.value / 2 + i.value % 2 * 4;  // both nibbles of a vector
      const __m512i operand = quad<type, q>(planes);
      unroll<tokens>([&](auto t) {
        dots[t.value] = _mm512_dpbusd_epi32(dots[t.value], operand, broadcast32(values + t.value * stride + 4 * q));
      });
    });
    unroll<tokens>([&](auto t) { add(t.value, dots[t.value]); });
  }
}

// A block of 256 columns, all tokens.
template <WeightType type, int tokens>
[[gnu::always_inline]] inline void add_k_block(const uint8_t* block, const Tokens& x, __m512* acc) {
  constexpr PackedFormat f = packed_format(type);
  constexpr int quads = int(group_quads) / f.scale_groups;
  __m512i dots[tokens];
  unroll<tokens>([&](auto t) { dots[t.value] = _mm512_setzero_si512(); });
  for (int64_t pair = 0; pair < block_scale_count(f) / 2; ++pair) {
    const __m512i scales = scale_pair<type>(block, pair);
    unroll<2>([&](auto i) {
      const int64_t group = (2 * pair + i.value) / f.scale_groups;
      constexpr int begin = f.scale_groups == 2 ? i.value * quads : 0;
      if constexpr (begin == 0) prefetch_share<type>(block, group);
      add_scaled<type, tokens, begin, quads>(block + group * group_bytes(f), widened<i.value>(scales),
                                             x.values + group * group_cols, x.stride, dots);
    });
  }
  const BlockScales scales = block_scales<type>(block);
  __m512i pairs[correction_pairs(f)];
  unroll<correction_pairs(f)>([&](auto i) { pairs[i.value] = correction_pair<type>(block, i.value); });
  unroll<tokens>([&](auto token) {
    constexpr int t = token.value;
    const int16_t* sums = f.scale_groups == 1 ? x.group_sums + t * x.groups : x.sums + 2 * t * x.groups;
    const __m512i total = correction<correction_pairs(f)>([&](int i) { return pairs[i]; }, sums);
    if constexpr (!f.has_min)
      dots[t] = _mm512_sub_epi32(dots[t], _mm512_mullo_epi32(total, _mm512_set1_epi32(f.zero_point)));
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[t]), scales.d);
    if constexpr (f.has_min) value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), scales.m, value);
    acc[t] = _mm512_fmadd_ps(value, _mm512_set1_ps(x.scales[t * x.groups]), acc[t]);
  });
}

// One row tile, all columns.
template <WeightType type, int tokens>
[[gnu::flatten]] void stream_tile(const MatmulTask& task, int64_t row, int64_t token) {
  constexpr PackedFormat f = packed_format(type);
  const int64_t blocks = task.x->cols / f.block_cols;
  const int64_t tile_bytes = packed_tile_bytes(type, task.x->cols);
  const auto* block = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  __m512 acc[tokens];
  unroll<tokens>([&](auto t) { acc[t.value] = _mm512_setzero_ps(); });
  alignas(64) int32_t starts[tokens][start_groups];
  for (int64_t b = 0; b < blocks; ++b, block += packed_block_bytes(f)) {
    const Tokens x = tokens_at(*task.x, token, b * block_groups(f));
    if constexpr (is_k_quant(type)) {
      add_k_block<type, tokens>(block, x, acc);
    } else if constexpr (block_groups(f) > 1) {
      add_wide_block<type, tokens>(block, x, acc);
    } else {
      if constexpr (finds_starts<type, tokens>)
        if (b % start_groups == 0) find_starts<type>(x, blocks - b, starts);
      add_block<type, tokens>(block, x, starts[0] + b % start_groups, acc);
    }
  }
  const __mmask16 rows = row_mask(task.row_end - row);
  unroll<tokens>([&](auto t) {
    store_rows(acc[t.value], task.bias ? task.bias + row : nullptr, task.add_to_out, rows,
               task.out + (token + t.value) * task.out_stride + row);
  });
}

template <WeightType type>
void stream(const MatmulTask& task) {
  constexpr int most = is_k_quant(type) ? 8 : 16;  // a k-quant's sums of 16 tokens would not stay in registers
  for_passes<most>(task, [&](auto n, int64_t row, int64_t token) {
    stream_tile<type, n.value>(task, row, token);
  });
}

}  // namespace

void matmul_stream_avx512(const MatmulTask& task) {
  switch (task.weights->type) {
    case WeightType::q5_0: return stream<WeightType::q5_0>(task);
    case WeightType::q5_1: return stream<WeightType::q5_1>(task);
    case WeightType::q8_0: return stream<WeightType::q8_0>(task);
    case WeightType::q8_128: return stream<WeightType::q8_128>(task);
    case WeightType::q2_k: return stream<WeightType::q2_k>(task);
    case WeightType::q3_k: return stream<WeightType::q3_k>(task);
    case WeightType::q4_k: return stream<WeightType::q4_k>(task);
    case WeightType::q5_k: return stream<WeightType::q5_k>(task);
    case WeightType::q6_k: return stream<WeightType::q6_k>(task);
    default: return;  // others go elsewhere
  }
}

}  // namespace sillar::kernels
