// q4_0 and q4_1, whose scales are whole numbers, so that two groups of columns share the instructions that apply them.
//
// Decode, up to 64 tokens: weights are read in the order they lie, each block's 16 operands unpacked in registers for 8 tokens.
// Prefill: a panel of 32 rows x 768 columns is unpacked to bytes once and used by up to 512 tokens.
//
// Panel (24 KiB, stays in L1): [pair of groups][quad][2 row vectors][half][8 rows][2 groups][4 columns]. Register tile: 2 row
// vectors x 4 tokens, 16 int32 accumulators of dot products and 8 of a block's 256 columns. Bound by the two pipes that do
// vpdpbusd, vpmulhrsw, vpdpwssd and FMA: a pair and tile takes 128, 8 and 8 (with mins 16) of them, and a block 8 FMAs.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_tile.h"

namespace sillar::kernels {
namespace {

constexpr int64_t chunk_groups = 24;
constexpr int pair_vectors = 2;
constexpr int pair_token_tile = 4;
constexpr int64_t pair_bytes = 2 * 64;  // of a row vector's operand

struct alignas(64) Panel {
  uint8_t operands[chunk_groups / 2 * group_quads * pair_vectors * pair_bytes];
  int16_t scales[chunk_groups * pair_vectors * tile_rows];  // [pair][vector][row][2]
  int16_t mins[chunk_groups * pair_vectors * tile_rows];
  float units[pair_vectors * tile_rows];
};

struct Scratch {
  Panel panel;
  Sums acc;
};
static_assert(sizeof(Scratch) <= panel_scratch_bytes_avx512);

// Unpacks `groups` groups from `group_begin` on of `vectors` row tiles.
template <WeightType type, int vectors>
void unpack(const uint8_t* tiles, int64_t tile_bytes, int64_t group_begin, int64_t groups, Panel& panel) {
  constexpr PackedFormat f = packed_format(type);
  for (int r = 0; r < vectors; ++r) {
    const uint8_t* tile = tiles + r * tile_bytes;
    for (int64_t pair = 0; 2 * pair < groups; ++pair) {
      const uint8_t* block = tile + unit_bytes(f) + (group_begin / 2 + pair) * packed_block_bytes(f);
      uint8_t* operands = panel.operands + (pair * group_quads * vectors + r) * pair_bytes;
      unroll<int(group_quads)>([&](auto q) {
        _mm512_store_si512(operands + q.value * vectors * pair_bytes, pair_quad<q.value>(block, 0));
        _mm512_store_si512(operands + q.value * vectors * pair_bytes + 64, pair_quad<q.value>(block, 1));
      });
      const int64_t to = (pair * vectors + r) * 2 * tile_rows;
      _mm512_store_si512(panel.scales + to, load512(block + scale_offset(f)));
      if constexpr (f.has_min) _mm512_store_si512(panel.mins + to, load512(block + min_offset(f)));
    }
    _mm512_store_ps(panel.units + r * tile_rows, _mm512_loadu_ps(tile));
  }
}

// sums += pair `pair` of the chunk's groups.
template <bool has_min, int vectors, int tokens>
[[gnu::always_inline]] inline void add_pair(const Panel& panel, const Tokens& x, int64_t pair,
                                            __m512i (&sums)[tokens][vectors]) {
  __m512i dots[tokens][2 * vectors];
  unroll<tokens>([&](auto t) {
    const __m512i start = broadcast64(x.starts + t.value * share_stride(x.groups) + 2 * pair);
    unroll<2 * vectors>([&](auto v) { dots[t.value][v.value] = start; });
  });
  add_dots<group_quads, vectors * pair_bytes, 8>(panel.operands + pair * group_quads * vectors * pair_bytes, 64,
                                                 x.pairs + 2 * pair * group_cols, pair_stride(x.groups), dots);
  unroll<tokens>([&](auto t) {
    const int64_t share = t.value * share_stride(x.groups) + 2 * pair;
    const __m512i shares = broadcast32(x.shares + share);
    unroll<vectors>([&](auto r) {
      const int64_t at = (pair * vectors + r.value) * 2 * tile_rows;
      __m512i& sum = sums[t.value][r.value];
      sum = add_scaled_pair(sum, dots[t.value][2 * r.value], dots[t.value][2 * r.value + 1], shares,
                            _mm512_load_si512(panel.scales + at));
      if constexpr (has_min)
        sum = _mm512_dpwssd_epi32(sum, broadcast32(x.sum_shares + share), _mm512_load_si512(panel.mins + at));
    });
  });
}

template <bool has_min, int vectors, int tokens>
[[gnu::flatten]] void tile(const Panel& panel, int64_t groups, const Place& from, int64_t token) {
  const Place at = tile_at<vectors>(from, token);
  unroll<tokens>([&](auto t) {
    const int8_t* next = at.x.pairs + (tokens + t.value) * pair_stride(at.x.groups);  // of the tile after this one
    for (int64_t line = 0; line < groups * group_cols; line += 64)
      prefetch_l1(next + line);
  });
  __m512 acc[tokens][vectors];
  begin_sums<vectors, tokens>(at, acc);
  for (int64_t g = 0; g < groups; g += share_groups) {
    const int64_t end = groups - g < share_groups ? groups : g + share_groups;
    __m512i sums[tokens][vectors];
    for_sums<vectors, tokens>([&](int t, int r) { sums[t][r] = _mm512_setzero_si512(); });
    for (int64_t pair = g / 2; 2 * pair < end; ++pair)
      add_pair<has_min, vectors, tokens>(panel, at.x, pair, sums);
    unroll<tokens>([&](auto t) {
      const __m512 scale = _mm512_set1_ps(at.x.block_scales[t.value * block_stride(at.x.groups) + g / share_groups]);
      unroll<vectors>([&](auto r) {
        __m512& sum = acc[t.value][r.value];
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t.value][r.value]), scale, sum);
      });
    });
  }
  if (at.last)
    for_sums<vectors, tokens>([&](int t, int r) {
      acc[t][r] = _mm512_mul_ps(acc[t][r], _mm512_load_ps(panel.units + r * tile_rows));
    });
  end_sums<vectors, tokens>(at, acc);
}

// `vectors` row tiles from `row` on, all columns, one block of tokens.
template <WeightType type, int vectors>
void multiply_rows(const MatmulTask& task, int64_t row, int64_t token, int64_t tokens, Scratch& scratch) {
  const int64_t groups = task.x->cols / group_cols, tile_bytes = packed_tile_bytes(type, task.x->cols);
  const auto* tiles = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  for (int64_t g = 0; g < groups; g += chunk_groups) {
    const int64_t count = groups - g < chunk_groups ? groups - g : chunk_groups;
    unpack<type, vectors>(tiles, tile_bytes, g, count, scratch.panel);
    const Place at = place(task, row, token, g, count, scratch.acc);
    const PanelAhead ahead = panel_after<type>(tiles, tile_bytes, vectors, g, count, groups, tokens);
    for_tiles<pair_token_tile>(tokens, [&](auto n, int64_t first) {
      ahead.fetch(first, n.value);
      tile<packed_format(type).has_min, vectors, n.value>(scratch.panel, count, at, first);
    });
  }
}

template <WeightType type>
void multiply(const MatmulTask& task, Scratch& scratch) {
  for_panels<pair_vectors>(task, [&](auto vectors, int64_t row, int64_t token, int64_t tokens) {
    multiply_rows<type, vectors.value>(task, row, token, tokens, scratch);
  });
}

// One of several passes over a row tile: each fetches its share of the next tile, so that memory is read all the time.
struct Pass {
  int64_t index, count;
};

// sums += a block of two groups, all tokens.
template <WeightType type, int tokens>
[[gnu::always_inline]] inline void stream_pair(const uint8_t* block, const uint8_t* next_tile, Pass pass, const Tokens& x,
                                               int64_t pair, __m512i* sums) {
  constexpr PackedFormat f = packed_format(type);
  for (int64_t line = 0; line < packed_block_bytes(f); line += 64)
    prefetch_l1(block + prefetch_ahead + line);
  if (tokens == 8 && pass.count > 1)
    for (int64_t line = 64 * pass.index; line < packed_block_bytes(f); line += 64 * pass.count)
      prefetch_l2(next_tile + line);
  __m512i operands[group_quads][2];
  unroll<int(group_quads)>([&](auto q) {
    operands[q.value][0] = pair_quad<q.value>(block, 0), operands[q.value][1] = pair_quad<q.value>(block, 1);
  });
  const __m512i scales = load512(block + scale_offset(f));
  unroll<tokens>([&](auto t) {
    const int8_t* values = x.pairs + t.value * pair_stride(x.groups) + 2 * pair * group_cols;
    const int64_t at = t.value * share_stride(x.groups) + 2 * pair;
    __m512i half0 = broadcast64(x.starts + at), half1 = half0;
    unroll<int(group_quads)>([&](auto q) {
      const __m512i value = broadcast64(values + 8 * q.value);
      half0 = _mm512_dpbusd_epi32(half0, operands[q.value][0], value);
      half1 = _mm512_dpbusd_epi32(half1, operands[q.value][1], value);
    });
    __m512i& sum = sums[t.value];
    sum = add_scaled_pair(sum, half0, half1, broadcast32(x.shares + at), scales);
    if constexpr (f.has_min)
      sum = _mm512_dpwssd_epi32(sum, broadcast32(x.sum_shares + at), load512(block + min_offset(f)));
  });
}

// One row tile, all columns.
template <WeightType type, int tokens>
[[gnu::flatten]] void stream_tile(const MatmulTask& task, int64_t row, int64_t token, Pass pass) {
  constexpr PackedFormat f = packed_format(type);
  const int64_t groups = task.x->cols / group_cols;
  const auto* tile = reinterpret_cast<const uint8_t*>(task.weights->data) +
                     row / tile_rows * packed_tile_bytes(type, task.x->cols);
  const uint8_t* block = tile + unit_bytes(f);
  __m512 acc[tokens];
  unroll<tokens>([&](auto t) { acc[t.value] = _mm512_setzero_ps(); });
  for (int64_t g = 0; g < groups; g += share_groups) {
    const Tokens x = tokens_at(*task.x, token, g);
    __m512i sums[tokens];
    unroll<tokens>([&](auto t) { sums[t.value] = _mm512_setzero_si512(); });
    for (int64_t pair = 0; pair < share_groups / 2 && g + 2 * pair < groups; ++pair, block += packed_block_bytes(f))
      stream_pair<type, tokens>(block, block + packed_tile_bytes(type, task.x->cols), pass, x, pair, sums);
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

// Row tile by row tile: it stays in cache for the next 8 tokens.
template <WeightType type>
void stream(const MatmulTask& task) {
  for (int64_t row = task.row_begin; row < task.row_end; row += tile_rows)
    for (int64_t token = task.token_begin; token < task.token_end;) {
      const int64_t left = task.token_end - token;
      const Pass pass{(token - task.token_begin) / 8, (task.token_end - task.token_begin) / 8};
      if (left >= 8) stream_tile<type, 8>(task, row, token, pass), token += 8;
      else if (left >= 4) stream_tile<type, 4>(task, row, token, pass), token += 4;
      else if (left >= 2) stream_tile<type, 2>(task, row, token, pass), token += 2;
      else stream_tile<type, 1>(task, row, token, pass), token += 1;
    }
}

template <WeightType type>
void matmul(const MatmulTask& task, Scratch& scratch) {
  if (task.token_end - task.token_begin <= pair_stream_tokens_max) stream<type>(task);
  else multiply<type>(task, scratch);
}

}  // namespace

void matmul_pairs_avx512(const MatmulTask& task, std::byte* memory) {
  auto& scratch = *reinterpret_cast<Scratch*>(memory);
  if (task.weights->type == WeightType::q4_0) matmul<WeightType::q4_0>(task, scratch);
  else matmul<WeightType::q4_1>(task, scratch);
}

}  // namespace sillar::kernels
