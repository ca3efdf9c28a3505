// Prefill: a panel of 64 rows x 256 columns is unpacked to bytes once and used by up to 512 tokens.
//
// Panel (16 KiB, stays in L1): [group of 32 columns][quad][4 row vectors][16 rows][4 columns], fp32 scales
// and mins [group][half][4 row vectors][16 rows]. Register tile: 4 row vectors x 3 tokens, 12 int32 and 12
// fp32 accumulators; the fp32 ones wait in scratch from chunk to chunk, so that groups add up in order.
// Bound by the two pipes that do vpdpbusd and FMA: 96 dot products, 12 multiplications, 12 (with mins 24,
// with halves 24) FMAs a group and tile; the converts use other pipes, the loads are half of what is possible.
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
  float scales[chunk_groups * 2 * panel_vectors * tile_rows];
  float mins[chunk_groups * 2 * panel_vectors * tile_rows];
  int32_t zero_points[2];  // of a half: a pair of int16, see zero_point_pair
};

struct Scratch {
  Panel panel;
  float acc[token_block * panel_vectors * tile_rows];
};
static_assert(sizeof(Scratch) <= panel_scratch_bytes_avx512);

// What the register tiles need to know about a type.
template <int halves_, bool has_min_>
struct Kind {
  static constexpr int halves = halves_;
  static constexpr bool has_min = has_min_;
  static constexpr int token_tile = halves == 1 ? 3 : 2;  // two halves keep their partial sums in registers too
};
template <WeightType type>
using KindOf = Kind<packed_format(type).scale_groups, packed_format(type).has_min>;

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
      const BlockScales scales = block_scales<type>(block);
      for (int half = 0; half < f.scale_groups; ++half) {
        const int64_t to = ((i * f.scale_groups + half) * vectors + r) * tile_rows;
        _mm512_store_ps(panel.scales + to, group_scale<type>(scales, block, group, half));
        if constexpr (f.has_min) _mm512_store_ps(panel.mins + to, group_min<type>(scales, block, group, half));
      }
    }
}

// Integer dot products of half a group (or a whole one).
template <class K, int vectors, int tokens>
[[gnu::always_inline]] inline void dot(const Panel& panel, const Tokens& x, int64_t group, int half,
                                       __m512i (&acc)[tokens][vectors]) {
  constexpr int quads = int(group_quads) / K::halves;
  const uint8_t* operands = panel.operands + group * group_quads * vectors * 64;
  unroll<tokens>([&](auto t) {
    __m512i start = _mm512_setzero_si512();
    if constexpr (!K::has_min) {
      const __m512i sums = broadcast32(x.sums + 2 * (t.value * x.groups + group));
      start = _mm512_dpwssd_epi32(start, sums, broadcast32(panel.zero_points + half));
    }
    unroll<vectors>([&](auto r) { acc[t.value][r.value] = start; });
  });
  unroll<quads>([&](auto q) {
    const int64_t at = half * quads + q.value;
    __m512i value[tokens];
    unroll<tokens>([&](auto t) {
      value[t.value] = broadcast32(x.values + t.value * x.cols + group * group_cols + 4 * at);
    });
    unroll<vectors>([&](auto r) {
      const __m512i operand = load512(operands + (at * vectors + r.value) * 64);
      unroll<tokens>([&](auto t) {
        acc[t.value][r.value] = _mm512_dpbusd_epi32(acc[t.value][r.value], operand, value[t.value]);
      });
    });
  });
}

// acc += one group of all (token, row vector) pairs.
template <class K, int vectors, int tokens>
[[gnu::always_inline]] inline void add_group(const Panel& panel, const Tokens& x, int64_t group,
                                             __m512 (&acc)[tokens][vectors]) {
  const int64_t at = group * K::halves * vectors * tile_rows;
  __m512i dots[tokens][vectors];
  __m512 sum[tokens][vectors];
  dot<K, vectors, tokens>(panel, x, group, 0, dots);
  unroll<tokens>([&](auto t) {
    unroll<vectors>([&](auto r) {
      const __m512 scale = _mm512_load_ps(panel.scales + at + r.value * tile_rows);
      sum[t.value][r.value] = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[t.value][r.value]), scale);
    });
  });
  if constexpr (K::halves == 2) {
    dot<K, vectors, tokens>(panel, x, group, 1, dots);
    unroll<tokens>([&](auto t) {
      unroll<vectors>([&](auto r) {
        const __m512 scale = _mm512_load_ps(panel.scales + at + (vectors + r.value) * tile_rows);
        const __m512 value = _mm512_cvtepi32_ps(dots[t.value][r.value]);
        sum[t.value][r.value] = _mm512_fmadd_ps(value, scale, sum[t.value][r.value]);
      });
    });
  }
  unroll<tokens>([&](auto t) {
    const int64_t token_group = t.value * x.groups + group;
    if constexpr (K::has_min)
      unroll<K::halves>([&](auto h) {
        const __m512 total = _mm512_set1_ps(K::halves == 1 ? x.group_sums[token_group]
                                                           : float(x.sums[2 * token_group + h.value]));
        unroll<vectors>([&](auto r) {
          const __m512 min = _mm512_load_ps(panel.mins + at + (h.value * vectors + r.value) * tile_rows);
          sum[t.value][r.value] = _mm512_fmadd_ps(total, min, sum[t.value][r.value]);
        });
      });
    const __m512 x_scale = _mm512_set1_ps(x.scales[token_group]);
    unroll<vectors>([&](auto r) {
      acc[t.value][r.value] = _mm512_fmadd_ps(sum[t.value][r.value], x_scale, acc[t.value][r.value]);
    });
  });
}

template <class K, int vectors, int tokens>
void tile(const Panel& panel, const Tokens& x, int64_t groups, bool first, float* out) {
  __m512 acc[tokens][vectors];
  unroll<tokens>([&](auto t) {
    for (int64_t line = 0; line < groups * group_cols; line += 64)  // the tile after this one
      _mm_prefetch(reinterpret_cast<const char*>(x.values + (tokens + t.value) * x.cols + line), _MM_HINT_T0);
    unroll<vectors>([&](auto r) {
      acc[t.value][r.value] =
          first ? _mm512_setzero_ps() : _mm512_load_ps(out + (t.value * vectors + r.value) * tile_rows);
    });
  });
  for (int64_t g = 0; g < groups; ++g) add_group<K, vectors, tokens>(panel, x, g, acc);
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
  for (; tokens >= K::token_tile; advance(K::token_tile)) tile<K, vectors, K::token_tile>(panel, x, groups, first, out);
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
  for (int half = 0; half < 2; ++half) scratch.panel.zero_points[half] = zero_point_pair<type>(half);
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
    case WeightType::q2_k: return panels<WeightType::q2_k>(task, scratch);
    case WeightType::q3_k: return panels<WeightType::q3_k>(task, scratch);
    case WeightType::q4_k: return panels<WeightType::q4_k>(task, scratch);
    case WeightType::q5_k: return panels<WeightType::q5_k>(task, scratch);
    case WeightType::q6_k: return panels<WeightType::q6_k>(task, scratch);
    default: return;  // float weights go elsewhere
  }
}

}  // namespace sillar::kernels
