// Prefill: a panel of 64 rows x 384 columns (k-quants: 256) is unpacked to bytes once and used by up to 512 tokens.
//
// Panel (24 KiB, stays in L1): [group of 32 columns][quad][4 row vectors][16 rows][4 columns], and the scales of
// 4 row vectors. Register tile: 4 row vectors x 3 tokens, 12 int32 accumulators of one scale's columns and 12 of
// all (fp32 by groups, or k-quants' int32). Bound by the two pipes that do vpdpbusd, multiplication and FMA. A group
// and tile: 96 vpdpbusd, 12 multiplications, 12 FMAs (with mins 24); k-quants 12 (24) integer multiplications, and in
// 8 groups 48 vpdpwssd and 36 of the others. Converts and additions use other pipes, the loads are half of what is possible.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_tile.h"

namespace sillar::kernels {
namespace {

constexpr int64_t chunk_groups = 12;  // 384 columns
constexpr int64_t k_groups = 8;       // a k-quant's block
constexpr int64_t start_count = 16;   // most scales of a chunk

struct alignas(64) Panel {
  uint8_t operands[chunk_groups * group_quads * panel_vectors * 64];
  float scales[chunk_groups * panel_vectors * tile_rows];      // [group][vector][row]; k-quants: d, [vector][row]
  float mins[chunk_groups * panel_vectors * tile_rows];        // k-quants: -m
  int32_t k_scales[k_groups * 2 * panel_vectors * tile_rows];  // [scale][vector][row]
  int16_t k_mins[k_groups * panel_vectors * 2 * tile_rows];    // [pair][vector][row][2]
};

struct Scratch {
  Panel panel;
  alignas(64) int32_t starts[token_block * start_count];  // [token][scale]: where dot products begin
  Sums acc;
};
static_assert(sizeof(Scratch) <= panel_scratch_bytes_avx512);

// What the register tiles need to know about a type; several types share one.
template <int k_halves_, bool has_min_, int zero_point_>
struct Kind {
  static constexpr int k_halves = k_halves_;  // 0: not a k-quant
  static constexpr bool has_min = has_min_;
  static constexpr int zero_point = zero_point_;
};
template <WeightType type, PackedFormat f = packed_format(type)>
using KindOf = Kind<is_k_quant(type) ? f.scale_groups : 0, f.has_min, f.zero_point>;

// Unpacks groups [group_begin, group_begin + groups) of `vectors` row tiles.
template <WeightType type>
void unpack(const uint8_t* tiles, int64_t tile_bytes, int vectors, int64_t group_begin, int64_t groups, Panel& panel) {
  constexpr PackedFormat f = packed_format(type);
  for (int r = 0; r < vectors; ++r)
    for (int64_t i = 0; i < groups; ++i) {
      const int64_t at = group_begin + i, group = at % block_groups(f);
      const uint8_t* block = tiles + r * tile_bytes + at / block_groups(f) * packed_block_bytes(f);
      const uint8_t* planes = block + group * group_bytes(f);
      uint8_t* operands = panel.operands + i * group_quads * vectors * 64 + r * 64;
      unroll<int(group_quads)>([&](auto q) {
        _mm512_store_si512(operands + q.value * vectors * 64, quad<type, q.value>(planes));
      });
      if (group != 0) continue;
      const BlockScales scales = block_scales<type>(block);
      _mm512_store_ps(panel.scales + (i * vectors + r) * tile_rows, scales.d);
      _mm512_store_ps(panel.mins + (i * vectors + r) * tile_rows, scales.m);
      if constexpr (is_k_quant(type))
        for (int64_t pair = 0; pair < correction_pairs(f); ++pair) {
          int32_t* to = panel.k_scales + (2 * pair * vectors + r) * tile_rows;
          const __m512i two = scale_pair<type>(block, pair);
          _mm512_store_si512(to, widened<0>(two));
          _mm512_store_si512(to + vectors * tile_rows, widened<1>(two));
          if constexpr (f.has_min)
            _mm512_store_si512(panel.k_mins + (pair * vectors + r) * 2 * tile_rows, min_pair<type>(block, pair));
        }
    }
}

// Where the dot products of a chunk's scales begin, for each token.
template <class K>
void find_starts(const Tokens& x, int64_t tokens, int64_t groups, int32_t* starts) {
  if constexpr (K::zero_point == 0) return;
  const auto there = __mmask16((1u << groups) - 1);
  for (int64_t t = 0; t < tokens; ++t) {
    const int16_t* sums = x.sums + 2 * t * x.groups;
    const __m512i found = K::k_halves == 0 ? group_starts<K::zero_point>(sums, there) : scale_starts<K::zero_point>(sums);
    _mm512_store_si512(starts + t * start_count, found);
  }
}
static_assert(chunk_groups <= start_count && 2 * k_groups <= start_count);

// acc += one group of 32 columns, which share a scale, of all (token, row vector) pairs.
template <class K, int vectors, int tokens>
[[gnu::always_inline]] inline void add_group(const Panel& panel, const int32_t* starts, const Tokens& x, int64_t group,
                                             __m512 (&acc)[tokens][vectors]) {
  const int64_t at = group * vectors * tile_rows;
  __m512i dots[tokens][vectors];
  unroll<tokens>([&](auto t) {
    const __m512i start = _mm512_set1_epi32(K::zero_point == 0 ? 0 : starts[t.value * start_count + group]);
    unroll<vectors>([&](auto r) { dots[t.value][r.value] = start; });
  });
  add_dots<group_quads, 64 * vectors>(panel.operands + group * group_quads * vectors * 64, 64,
                                      x.values + group * group_cols, x.stride, dots);
  unroll<tokens>([&](auto t) {
    const int64_t token_group = t.value * x.groups + group;
    const __m512 x_scale = _mm512_set1_ps(x.scales[token_group]);
    unroll<vectors>([&](auto r) {
      const __m512 scale = _mm512_load_ps(panel.scales + at + r.value * tile_rows);
      __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[t.value][r.value]), scale);
      if constexpr (K::has_min) {
        const __m512 min = _mm512_load_ps(panel.mins + at + r.value * tile_rows);
        sum = _mm512_fmadd_ps(_mm512_set1_ps(x.group_sums_f32[token_group]), min, sum);
      }
      acc[t.value][r.value] = _mm512_fmadd_ps(sum, x_scale, acc[t.value][r.value]);
    });
  });
}

// sums += scale `i` of a block times its dot product.
template <class K, int vectors, int tokens>
[[gnu::always_inline]] inline void add_scaled(const Panel& panel, const int32_t* starts, const Tokens& x, int64_t i,
                                              __m512i (&sums)[tokens][vectors]) {
  constexpr int quads = int(group_quads) / K::k_halves;
  static_assert(K::zero_point == 0 || K::k_halves == 2);
  __m512i dots[tokens][vectors];
  unroll<tokens>([&](auto t) {
    const __m512i start = _mm512_set1_epi32(K::zero_point == 0 ? 0 : starts[t.value * start_count + i]);
    unroll<vectors>([&](auto r) { dots[t.value][r.value] = start; });
  });
  add_dots<quads, 64 * vectors>(panel.operands + i * quads * vectors * 64, 64, x.values + i * quads * 4, x.stride, dots);
  unroll<vectors>([&](auto r) {
    const __m512i scale = _mm512_load_si512(panel.k_scales + (i * vectors + r.value) * tile_rows);
    unroll<tokens>([&](auto t) {
      __m512i& sum = sums[t.value][r.value];
      sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(dots[t.value][r.value], scale));
    });
  });
}

// acc += a k-quant's block of 256 columns.
template <class K, int vectors, int tokens>
[[gnu::always_inline]] inline void add_k_block(const Panel& panel, const int32_t* starts, const Tokens& x,
                                               __m512 (&acc)[tokens][vectors]) {
  __m512i sums[tokens][vectors];
  for_sums<vectors, tokens>([&](int t, int r) { sums[t][r] = _mm512_setzero_si512(); });
  for (int64_t i = 0; i < k_groups * K::k_halves; ++i) add_scaled<K>(panel, starts, x, i, sums);
  unroll<tokens>([&](auto t) {
    const int16_t* x_sums = K::k_halves == 1 ? x.group_sums + t.value * x.groups : x.sums + 2 * t.value * x.groups;
    const __m512 x_scale = _mm512_set1_ps(x.scales[t.value * x.groups]);
    unroll<vectors>([&](auto r) {
      const int64_t at = r.value * tile_rows;
      __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[t.value][r.value]), _mm512_load_ps(panel.scales + at));
      if constexpr (K::has_min) {
        const auto mins = [&](int i) { return _mm512_load_si512(panel.k_mins + 2 * (i * vectors * tile_rows + at)); };
        const __m512i total = correction<int(k_groups) * K::k_halves / 2>(mins, x_sums);
        value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_load_ps(panel.mins + at), value);
      }
      acc[t.value][r.value] = _mm512_fmadd_ps(value, x_scale, acc[t.value][r.value]);
    });
  });
}

template <class K, int vectors, int tokens>
[[gnu::flatten]] void tile(const Scratch& scratch, int64_t groups, const Place& from, int64_t token) {
  const Place at = tile_at<vectors>(from, token);
  unroll<tokens>([&](auto t) {
    for (int64_t line = 0; line < groups * group_cols; line += 64)  // the tile after this one
      prefetch_l1(at.x.values + (tokens + t.value) * at.x.stride + line);
  });
  __m512 acc[tokens][vectors];
  begin_sums<vectors, tokens>(at, acc);
  const int32_t* starts = scratch.starts + at.token * start_count;
  if constexpr (K::k_halves != 0) add_k_block<K, vectors, tokens>(scratch.panel, starts, at.x, acc);
  else
    for (int64_t g = 0; g < groups; ++g) add_group<K, vectors, tokens>(scratch.panel, starts, at.x, g, acc);
  end_sums<vectors, tokens>(at, acc);
}

// `vectors` row tiles from `row` on, all columns, one block of tokens.
template <WeightType type, int vectors>
void multiply_rows(const MatmulTask& task, int64_t row, int64_t token, int64_t tokens, Scratch& scratch) {
  const int64_t groups = task.x->cols / group_cols, tile_bytes = packed_tile_bytes(type, task.x->cols);
  const auto* tiles = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  const int64_t chunks = (groups + chunk_groups - 1) / chunk_groups;
  const int64_t step = is_k_quant(type) ? k_groups : (groups + chunks - 1) / chunks;
  for (int64_t g = 0; g < groups; g += step) {
    const int64_t count = groups - g < step ? groups - g : step;
    unpack<type>(tiles, tile_bytes, vectors, g, count, scratch.panel);
    const Place at = place(task, row, token, g, count, scratch.acc);
    find_starts<KindOf<type>>(at.x, tokens, count, scratch.starts);
    const PanelAhead ahead = panel_after<type>(tiles, tile_bytes, vectors, g, count, groups, tokens);
    for_tiles(tokens, [&](auto n, int64_t first) {
      ahead.fetch(first, n.value);
      tile<KindOf<type>, vectors, n.value>(scratch, count, at, first);
    });
  }
}

template <WeightType type>
void panels(const MatmulTask& task, Scratch& scratch) {
  for_panels(task, [&](auto vectors, int64_t row, int64_t token, int64_t tokens) {
    multiply_rows<type, vectors.value>(task, row, token, tokens, scratch);
  });
}

}  // namespace

void matmul_panel_avx512(const MatmulTask& task, std::byte* memory) {
  auto& scratch = *reinterpret_cast<Scratch*>(memory);
  switch (task.weights->type) {
    case WeightType::q5_0: return panels<WeightType::q5_0>(task, scratch);
    case WeightType::q5_1: return panels<WeightType::q5_1>(task, scratch);
    case WeightType::q8_0: return panels<WeightType::q8_0>(task, scratch);
    case WeightType::q2_k: return panels<WeightType::q2_k>(task, scratch);
    case WeightType::q3_k: return panels<WeightType::q3_k>(task, scratch);
    case WeightType::q4_k: return panels<WeightType::q4_k>(task, scratch);
    case WeightType::q5_k: return panels<WeightType::q5_k>(task, scratch);
    case WeightType::q6_k: return panels<WeightType::q6_k>(task, scratch);
    default: return;  // others go elsewhere
  }
}

}  // namespace sillar::kernels
