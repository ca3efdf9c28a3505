// Prefill: a panel of 64 rows x 256 columns is unpacked to bytes once and used by up to 512 tokens.
//
// Panel (16 KiB, stays in L1): [group of 32 columns][quad][4 row vectors][16 rows][4 columns], and the scales of
// 4 row vectors. Register tile: 4 row vectors x 3 tokens, 12 int32 accumulators of one scale's columns and 12 of
// all (fp32 by groups, or k-quants' int32); the fp32 ones wait in scratch from chunk to chunk, so that they add
// up in order. Bound by the two pipes that do vpdpbusd, multiplication and FMA. A group and tile: 96 vpdpbusd,
// 12 multiplications, 12 FMAs (with mins 24); k-quants 12 (24) integer multiplications, and in 8 groups 48 vpdpwssd
// and 36 of the others. Converts and additions use other pipes, the loads are half of what is possible.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/tokens.h"

namespace sillar::kernels {
namespace {

constexpr int64_t chunk_groups = 8;     // 256 columns
constexpr int64_t token_block = 512;
constexpr int panel_vectors = 4;        // 64 rows

struct alignas(64) Panel {
  uint8_t operands[chunk_groups * group_quads * panel_vectors * 64];
  float scales[chunk_groups * panel_vectors * tile_rows];      // [group][vector][row]; k-quants: d, [vector][row]
  float mins[chunk_groups * panel_vectors * tile_rows];        // k-quants: -m
  int32_t k_scales[chunk_groups * 2 * panel_vectors * tile_rows];      // [scale][vector][row]
  int16_t k_mins[chunk_groups * panel_vectors * 2 * tile_rows];        // [pair][vector][row][2]
  const uint8_t* packed;  // where a kind is read in place: this chunk of the first row tile, and the step to the next
  int64_t packed_step;
};

struct Scratch {
  Panel panel;
  float acc[token_block * panel_vectors * tile_rows];
};
static_assert(sizeof(Scratch) <= panel_scratch_bytes_avx512);

// What the register tiles need to know about a type; several types share one.
template <int groups_, int k_halves_, bool has_min_, int zero_point_>
struct Kind {
  static constexpr int groups = groups_;      // of a block
  static constexpr bool in_place = groups == block_groups(packed_format(WeightType::q8_128));  // its bytes are operands
  static constexpr int k_halves = k_halves_;  // 0: not a k-quant
  static constexpr bool has_min = has_min_;
  static constexpr int zero_point = zero_point_;
};
template <WeightType type, PackedFormat f = packed_format(type)>
using KindOf = Kind<int(block_groups(f)), is_k_quant(type) ? f.scale_groups : 0, f.has_min, f.zero_point>;

constexpr int token_tile = 3;

// Unpacks groups [group_begin, group_begin + groups) of `vectors` row tiles.
template <WeightType type>
void unpack(const uint8_t* tiles, int64_t tile_bytes, int vectors, int64_t group_begin, int64_t groups, Panel& panel) {
  constexpr PackedFormat f = packed_format(type);
  panel.packed = tiles + group_begin / block_groups(f) * packed_block_bytes(f);
  panel.packed_step = tile_bytes;
  for (int r = 0; r < vectors; ++r)
    for (int64_t i = 0; i < groups; ++i) {
      const int64_t at = group_begin + i, group = at % block_groups(f);
      const uint8_t* block = tiles + r * tile_bytes + at / block_groups(f) * packed_block_bytes(f);
      const uint8_t* planes = block + group * group_bytes(f);
      uint8_t* operands = panel.operands + i * group_quads * vectors * 64 + r * 64;
      if constexpr (!KindOf<type>::in_place)
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

// acc += integer dot products of `quads` quads, `quad_step` bytes apart, of row vectors `step` bytes apart; `values`
// steps by `cols` from token to token.
template <int quads, int quad_step, int vectors, int tokens>
[[gnu::always_inline]] inline void add_dots(const uint8_t* operands, int64_t step, const int8_t* values, int64_t cols,
                                            __m512i (&acc)[tokens][vectors]) {
  unroll<quads>([&](auto q) {
    __m512i value[tokens];
    unroll<tokens>([&](auto t) { value[t.value] = broadcast32(values + t.value * cols + 4 * q.value); });
    unroll<vectors>([&](auto r) {
      const __m512i operand = load512(operands + r.value * step + q.value * quad_step);
      unroll<tokens>([&](auto t) {
        acc[t.value][r.value] = _mm512_dpbusd_epi32(acc[t.value][r.value], operand, value[t.value]);
      });
    });
  });
}

// A dot product's start: minus the zero point times the activations' sum, of the first or second half of `pairs`
// pairs of sums, or of both.
template <int zero_point, bool first_half, bool second_half, int pairs = 1>
[[gnu::always_inline]] inline __m512i dot_start(const int16_t* sums) {
  constexpr uint32_t factor = uint32_t(-zero_point) & 0xffff;
  constexpr uint32_t pair = (first_half ? factor : 0) | (second_half ? factor << 16 : 0);
  __m512i start = _mm512_setzero_si512();
  if constexpr (zero_point != 0)
    unroll<pairs>([&](auto i) {
      start = _mm512_dpwssd_epi32(start, broadcast32(sums + 2 * i.value), _mm512_set1_epi32(int(pair)));
    });
  return start;
}

// The start of a block's dot product, its columns sharing a scale.
template <class K>
[[gnu::always_inline]] inline __m512i block_start(const Tokens& x, int64_t group) {
  if constexpr (K::groups == 1) return dot_start<K::zero_point, true, true>(x.sums + 2 * group);
  else return dot_start<K::zero_point, true, true, K::groups / 2>(x.group_sums + group);
}

// acc += one block, its columns sharing a scale, of all (token, row vector) pairs.
template <class K, int vectors, int tokens>
[[gnu::always_inline]] inline void add_block(const Panel& panel, const Tokens& x, int64_t group,
                                             __m512 (&acc)[tokens][vectors]) {
  const int64_t at = group * vectors * tile_rows;
  __m512i dots[tokens][vectors];
  unroll<tokens>([&](auto t) {
    const __m512i start = block_start<K>(x, t.value * x.groups + group);
    unroll<vectors>([&](auto r) { dots[t.value][r.value] = start; });
  });
  if constexpr (K::in_place) {
    constexpr PackedFormat f = packed_format(WeightType::q8_128);
    const uint8_t* block = panel.packed + group / K::groups * packed_block_bytes(f);
    for (int64_t g = 0; g < K::groups; ++g)
      add_dots<group_quads, 64>(block + g * group_bytes(f), panel.packed_step, x.values + (group + g) * group_cols,
                                x.cols, dots);
  } else {
    add_dots<group_quads, 64 * vectors>(panel.operands + group * group_quads * vectors * 64, 64,
                                        x.values + group * group_cols, x.cols, dots);
  }
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
template <class K, int half, int vectors, int tokens>
[[gnu::always_inline]] inline void add_scaled(const Panel& panel, const Tokens& x, int64_t i,
                                              __m512i (&sums)[tokens][vectors]) {
  constexpr int quads = int(group_quads) / K::k_halves;
  __m512i dots[tokens][vectors];
  unroll<tokens>([&](auto t) {
    const int16_t* x_sums = x.sums + 2 * (t.value * x.groups + i / K::k_halves);
    const __m512i start = dot_start<K::zero_point, half == 0, half == K::k_halves - 1>(x_sums);
    unroll<vectors>([&](auto r) { dots[t.value][r.value] = start; });
  });
  add_dots<quads, 64 * vectors>(panel.operands + i * quads * vectors * 64, 64, x.values + i * quads * 4, x.cols, dots);
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
[[gnu::always_inline]] inline void add_k_block(const Panel& panel, const Tokens& x, float* acc, bool first) {
  __m512i sums[tokens][vectors];
  unroll<tokens>([&](auto t) { unroll<vectors>([&](auto r) { sums[t.value][r.value] = _mm512_setzero_si512(); }); });
  for (int64_t group = 0; group < chunk_groups; ++group)
    unroll<K::k_halves>([&](auto half) {
      add_scaled<K, half.value>(panel, x, group * K::k_halves + half.value, sums);
    });
  unroll<tokens>([&](auto t) {
    const int16_t* x_sums = K::k_halves == 1 ? x.group_sums + t.value * x.groups : x.sums + 2 * t.value * x.groups;
    const __m512 x_scale = _mm512_set1_ps(x.scales[t.value * x.groups]);
    unroll<vectors>([&](auto r) {
      const int64_t at = r.value * tile_rows;
      __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[t.value][r.value]), _mm512_load_ps(panel.scales + at));
      if constexpr (K::has_min) {
        const auto mins = [&](int i) { return _mm512_load_si512(panel.k_mins + 2 * (i * vectors * tile_rows + at)); };
        const __m512i total = correction<int(chunk_groups) * K::k_halves / 2>(mins, x_sums);
        value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_load_ps(panel.mins + at), value);
      }
      float* to = acc + t.value * vectors * tile_rows + at;
      _mm512_store_ps(to, _mm512_fmadd_ps(value, x_scale, first ? _mm512_setzero_ps() : _mm512_load_ps(to)));
    });
  });
}

template <class K, int vectors, int tokens>
[[gnu::flatten]] void tile(const Panel& panel, const Tokens& x, int64_t groups, bool first, float* out) {
  unroll<tokens>([&](auto t) {
    for (int64_t line = 0; line < groups * group_cols; line += 64)  // the tile after this one
      _mm_prefetch(reinterpret_cast<const char*>(x.values + (tokens + t.value) * x.cols + line), _MM_HINT_T0);
  });
  if constexpr (K::k_halves != 0) return add_k_block<K, vectors, tokens>(panel, x, out, first);
  __m512 acc[tokens][vectors];
  unroll<tokens>([&](auto t) {
    unroll<vectors>([&](auto r) {
      acc[t.value][r.value] =
          first ? _mm512_setzero_ps() : _mm512_load_ps(out + (t.value * vectors + r.value) * tile_rows);
    });
  });
  for (int64_t g = 0; g < groups; g += K::groups) add_block<K, vectors, tokens>(panel, x, g, acc);
  unroll<tokens>([&](auto t) {
    unroll<vectors>([&](auto r) {
      _mm512_store_ps(out + (t.value * vectors + r.value) * tile_rows, acc[t.value][r.value]);
    });
  });
}

// All tokens of a block against one panel.
template <class K, int vectors>
void multiply(const Panel& panel, Tokens x, int64_t tokens, int64_t groups, bool first, float* out) {
  const auto advance = [&](int64_t n) { x = advanced(x, n), out += n * vectors * tile_rows, tokens -= n; };
  for (; tokens >= token_tile; advance(token_tile)) tile<K, vectors, token_tile>(panel, x, groups, first, out);
  if (tokens == 2) tile<K, vectors, 2>(panel, x, groups, first, out);
  if (tokens == 1) tile<K, vectors, 1>(panel, x, groups, first, out);
}

void store(const MatmulTask& task, int64_t row, int vectors, int64_t token, int64_t tokens, const float* acc) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int r = 0; r < vectors; ++r) {
      const int64_t at = row + r * tile_rows;
      store_rows(_mm512_load_ps(acc + (t * vectors + r) * tile_rows), task.bias ? task.bias + at : nullptr,
                 task.add_to_out, row_mask(task.row_end - at), task.out + (token + t) * task.out_stride + at);
    }
}

// `vectors` row tiles from `row` on, all columns, one block of tokens.
template <WeightType type, int vectors>
void multiply_rows(const MatmulTask& task, int64_t row, int64_t token, int64_t tokens, Scratch& scratch) {
  const Activations& a = *task.x;
  const int64_t groups = a.cols / group_cols, tile_bytes = packed_tile_bytes(type, a.cols);
  const auto* tiles = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  for (int64_t g = 0; g < groups; g += chunk_groups) {
    const int64_t count = groups - g < chunk_groups ? groups - g : chunk_groups;
    unpack<type>(tiles, tile_bytes, vectors, g, count, scratch.panel);
    multiply<KindOf<type>, vectors>(scratch.panel, tokens_at(a, token, g), tokens, count, g == 0, scratch.acc);
  }
  store(task, row, vectors, token, tokens, scratch.acc);
}

template <WeightType type>
void panels(const MatmulTask& task, Scratch& scratch) {
  for (int64_t token = task.token_begin; token < task.token_end; token += token_block) {
    const int64_t tokens = task.token_end - token < token_block ? task.token_end - token : token_block;
    for (int64_t row = task.row_begin; row < task.row_end; row += panel_vectors * tile_rows) {
      const int64_t tiles = (task.row_end - row + tile_rows - 1) / tile_rows;
      if (tiles >= 4) multiply_rows<type, 4>(task, row, token, tokens, scratch);
      else if (tiles == 3) multiply_rows<type, 3>(task, row, token, tokens, scratch);
      else if (tiles == 2) multiply_rows<type, 2>(task, row, token, tokens, scratch);
      else multiply_rows<type, 1>(task, row, token, tokens, scratch);
    }
  }
}

}  // namespace

void matmul_panel_avx512(const MatmulTask& task, std::byte* memory) {
  auto& scratch = *reinterpret_cast<Scratch*>(memory);
  switch (task.weights->type) {
    case WeightType::q4_0: return panels<WeightType::q4_0>(task, scratch);
    case WeightType::q4_1: return panels<WeightType::q4_1>(task, scratch);
    case WeightType::q5_0: return panels<WeightType::q5_0>(task, scratch);
    case WeightType::q5_1: return panels<WeightType::q5_1>(task, scratch);
    case WeightType::q8_0: return panels<WeightType::q8_0>(task, scratch);
    case WeightType::q8_128: return panels<WeightType::q8_128>(task, scratch);
    case WeightType::q2_k: return panels<WeightType::q2_k>(task, scratch);
    case WeightType::q3_k: return panels<WeightType::q3_k>(task, scratch);
    case WeightType::q4_k: return panels<WeightType::q4_k>(task, scratch);
    case WeightType::q5_k: return panels<WeightType::q5_k>(task, scratch);
    case WeightType::q6_k: return panels<WeightType::q6_k>(task, scratch);
    default: return;  // float weights go elsewhere
  }
}

}  // namespace sillar::kernels
