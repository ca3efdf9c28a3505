// The AVX2 matmul of quantised weights: decode unpacks in registers, prefill from a panel in L1.
//
// Panel: 64 rows x 256 columns of bytes, [16-row tile][group][quad][16 rows][4 columns], with their scales; the fp32 accumulators of up to 512 tokens wait in scratch from chunk to chunk. avx2_tile.h has the
// register tile and what bounds it.
#include "kernels/isa_entries.h"
#include "kernels/matmul/avx2_parts.h"
#include "kernels/matmul/avx2_shares.h"
#include "kernels/matmul/avx2_tile.h"
#include "kernels/matmul/blocks.h"
#include "kernels/matmul/panel_ahead.h"
#include "kernels/matmul/tiling.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

constexpr int64_t chunk_groups = 8;
constexpr int64_t token_block = 512;
constexpr int64_t panel_tiles = 4;
constexpr int64_t stream_tokens_max = 4;
constexpr int64_t prefetch_ahead = 8192;

struct alignas(64) PanelTile {
  uint8_t operands[chunk_groups * group_quads * 64];
  float scales[chunk_groups * tile_rows];  // of a block
  float mins[chunk_groups * tile_rows];
  int16_t k_scales[chunk_groups * 2 * tile_rows * 2];
  int16_t corrections[chunk_groups * tile_rows * 2];
};
struct Scratch {
  PanelTile panel[panel_tiles];
  float acc[panel_tiles][token_block * tile_rows];
};
static_assert(sizeof(Scratch) <= scratch_bytes_avx2);

// acc *= the units at a row tile's beginning.
template <int tokens>
[[gnu::always_inline]] inline void scale_rows(const uint8_t* tile, __m256 (&acc)[tokens][2]) {
  unroll<2>([&](auto v) {
    const __m256 units = _mm256_loadu_ps(reinterpret_cast<const float*>(tile) + v.value * vector_rows);
    unroll<tokens>([&](auto t) { acc[t.value][v.value] = _mm256_mul_ps(acc[t.value][v.value], units); });
  });
}

template <int tokens>
void store(const MatmulTask& task, int64_t row, int64_t token, const __m256 (&acc)[tokens][2]) {
  unroll<tokens>([&](auto t) {
    unroll<2>([&](auto v) {
      const int64_t at = row + v.value * vector_rows;
      if (at < task.row_end)
        store_rows(acc[t.value][v.value], task.bias ? task.bias + at : nullptr, task.add_to_out, task.row_end - at,
                   task.out + (token + t.value) * task.out_stride + at);
    });
  });
}

// acc = all columns of a row tile whose integer scales have a unit of the row.
template <class K, int tokens>
[[gnu::always_inline]] inline void stream_row_scaled(const uint8_t* tile, const Activations& x, int64_t token,
                                                     __m256 (&acc)[tokens][2]) {
  constexpr int64_t bytes = share_groups / 2 * packed_block_bytes(K::format);
  const int64_t groups = x.cols / group_cols;
  const uint8_t* block = tile + unit_bytes(K::format);
  for (int64_t g = 0; g < groups; g += share_groups, block += bytes) {
    for (int64_t line = 0; line < bytes; line += 64) prefetch_l1(block + prefetch_ahead + line);
    add_share_block<K, tokens>(PackedSource<K>{block}, tokens_at(x, token, g), groups - g, acc);
  }
  scale_rows(tile, acc);
}

template <class K, int tokens>
[[gnu::always_inline]] inline void stream_blocks(const uint8_t* block, const Activations& all, int64_t token,
                                                 __m256 (&acc)[tokens][2]) {
  constexpr PackedFormat f = K::format;
  for (int64_t b = 0; b < all.cols / f.block_cols; ++b, block += packed_block_bytes(f)) {
    for (int64_t line = 0; line < packed_block_bytes(f); line += 64) prefetch_l1(block + prefetch_ahead + line);
    const Tokens x = tokens_at(all, token, b * block_groups(f));
    if constexpr (is_k_quant(K::type)) add_k_block<K, tokens>(PackedSource<K>{block}, x, acc);
    else add_block<K, tokens>(PackedSource<K>{block}, x, acc);
  }
}

// Decode: the packed weights in the order they lie.
template <class K, int tokens>
[[gnu::flatten]] void stream(const MatmulTask& task, int64_t token) {
  const auto* block = reinterpret_cast<const uint8_t*>(task.weights->data) +
                      task.row_begin / tile_rows * packed_tile_bytes(K::type, task.weights->cols);
  for (int64_t row = task.row_begin; row < task.row_end; row += tile_rows) {
    __m256 acc[tokens][2];
    unroll<tokens>([&](auto t) { acc[t.value][0] = acc[t.value][1] = _mm256_setzero_ps(); });
    if constexpr (is_row_scaled(K::type)) stream_row_scaled<K>(block, *task.x, token, acc);
    else stream_blocks<K>(block, *task.x, token, acc);
    block += packed_tile_bytes(K::type, task.weights->cols);
    store(task, row, token, acc);
  }
}

template <class K>
void unpack_scales(const PackedSource<K>& source, int64_t block, PanelTile& panel) {
  const auto store_int16 = [](int16_t* to, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(to), v); };
  for (int v = 0; v < 2; ++v) {
    _mm256_store_ps(panel.scales + block * tile_rows + v * vector_rows, source.scale(v));
    if constexpr (K::format.has_min) _mm256_store_ps(panel.mins + block * tile_rows + v * vector_rows, source.min(v));
    if constexpr (is_k_quant(K::type))
      for (int64_t pair = 0; pair < block_scale_count(K::format) / 2; ++pair) {
        int16_t* to = panel.k_scales + 2 * (2 * pair * tile_rows + v * vector_rows);
        store_int16(to, source.template k_scale<0>(pair, v));
        store_int16(to + 2 * tile_rows, source.template k_scale<1>(pair, v));
        store_int16(panel.corrections + 2 * (pair * tile_rows + v * vector_rows), source.correction(pair, v));
      }
  }
}

// Row-scaled types: up to 4 blocks from `source` on.
template <class K>
void unpack_pairs(const PackedSource<K>& source, int64_t pairs, PanelTile& panel) {
  const auto store = [](auto* to, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(to), v); };
  for (int64_t i = 0; i < pairs; ++i)
    unroll<2>([&](auto v) {
      unroll<int(group_quads)>([&](auto q) {
        for (int half = 0; half < 2; ++half)
          store(panel.operands + 64 * (2 * (i * group_quads + q.value) + half) + 32 * v.value,
                source.template row_operand<q.value>(i, half, v.value));
      });
      const int64_t at = 2 * (i * tile_rows + v.value * vector_rows);
      store(panel.k_scales + at, source.row_scale(i, v.value));
      if constexpr (K::format.has_min) store(panel.corrections + at, source.row_min(i, v.value));
    });
}

template <class K>
void unpack(const uint8_t* tile, int64_t group_begin, int64_t groups, PanelTile& panel) {
  constexpr PackedFormat f = K::format;
  for (int64_t i = 0; i < groups; ++i) {
    const int64_t at = group_begin + i, group = at % block_groups(f);
    const PackedSource<K> source{tile + at / block_groups(f) * packed_block_bytes(f)};
    unroll<2>([&](auto v) {
      unroll<int(group_quads)>([&](auto q) {
        uint8_t* to = panel.operands + (i * group_quads + q.value) * 64 + 32 * v.value;
        _mm256_store_si256(reinterpret_cast<__m256i*>(to), source.template operand<q.value>(group, v.value));
      });
    });
    if (group == 0) unpack_scales<K>(source, i / block_groups(f), panel);
  }
}

// acc += all of a panel's groups.
template <class K, int tokens>
[[gnu::always_inline]] inline void add_panel(const PanelTile& panel, const Tokens& x, int64_t groups,
                                             __m256 (&acc)[tokens][2]) {
  const auto source = [&](int64_t block) -> PanelSource {
    const int64_t group = block * block_groups(K::format), at = block * tile_rows;
    return {panel.operands + group * group_quads * 64, panel.scales + at, panel.mins + at, panel.k_scales, panel.corrections};
  };
  if constexpr (is_row_scaled(K::type)) {
    add_share_block<K, tokens>(source(0), x, groups, acc);
  } else {
    for (int64_t b = 0; b < groups / block_groups(K::format); ++b) {
      if constexpr (is_k_quant(K::type)) add_k_block<K, tokens>(source(b), x, acc);
      else add_block<K, tokens>(source(b), advanced_groups(x, b * block_groups(K::format)), acc);
    }
  }
}

template <class K, int tokens>
[[gnu::flatten]] void tile(const PanelTile& panel, const Tokens& x, int64_t groups, bool first, float* out) {
  __m256 acc[tokens][2];
  unroll<tokens>([&](auto t) {
    unroll<2>([&](auto v) {
      const float* at = out + t.value * tile_rows + v.value * vector_rows;
      acc[t.value][v.value] = first ? _mm256_setzero_ps() : _mm256_load_ps(at);
    });
  });
  add_panel<K, tokens>(panel, x, groups, acc);
  unroll<tokens>([&](auto t) {
    unroll<2>([&](auto v) { _mm256_store_ps(out + t.value * tile_rows + v.value * 8, acc[t.value][v.value]); });
  });
}

template <class K>
void multiply(const PanelTile& panel, Tokens x, int64_t tokens, int64_t groups, bool first, float* out) {
  const auto advance = [&](int64_t n) { x = advanced(x, n), out += n * tile_rows, tokens -= n; };
  if constexpr (K::bits <= 4)
    for (; tokens >= 4; advance(4)) tile<K, 4>(panel, x, groups, first, out);
  for (; tokens >= 2; advance(2)) tile<K, 2>(panel, x, groups, first, out);
  if (tokens == 1) tile<K, 1>(panel, x, groups, first, out);
}

// Prefill: up to 64 rows from `row` on, all columns, one block of tokens.
template <class K>
void multiply_rows(const MatmulTask& task, int64_t row, int64_t token, int64_t tokens, Scratch& scratch) {
  const int64_t groups = task.x->cols / group_cols, tile_bytes = packed_tile_bytes(K::type, task.x->cols);
  const auto* packed = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  int64_t tiles = (task.row_end - row + tile_rows - 1) / tile_rows;
  if (tiles > panel_tiles) tiles = panel_tiles;
  for (int64_t g = 0; g < groups; g += chunk_groups) {
    const int64_t count = groups - g < chunk_groups ? groups - g : chunk_groups;
    const Tokens x = tokens_at(*task.x, token, g);
    const PanelAhead ahead = panel_after<K::type>(packed, tile_bytes, int(tiles), g, count, groups, tiles);
    for (int64_t i = 0; i < tiles; ++i) {
      const uint8_t* tile = packed + i * tile_bytes;
      if constexpr (is_row_scaled(K::type))
        unpack_pairs<K>({tile + unit_bytes(K::format) + g / 2 * packed_block_bytes(K::format)}, (count + 1) / 2, scratch.panel[i]);
      else unpack<K>(tile, g, count, scratch.panel[i]);
      ahead.fetch(i, 1);
      multiply<K>(scratch.panel[i], x, tokens, count, g == 0, scratch.acc[i]);
    }
  }
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < tiles; ++i) {
      const float* acc = scratch.acc[i] + t * tile_rows;
      __m256 values[1][2] = {{_mm256_load_ps(acc), _mm256_load_ps(acc + vector_rows)}};
      if constexpr (is_row_scaled(K::type)) scale_rows(packed + i * tile_bytes, values);
      store(task, row + i * tile_rows, token + t, values);
    }
}

template <WeightType type>
void multiply_type(const MatmulTask& task, Scratch& scratch) {
  using K = Kind<type>;
  int64_t token = task.token_begin;
  if (task.token_end - token <= stream_tokens_max) {
    if (task.token_end - token == 4) return stream<K, 4>(task, token);
    for (; task.token_end - token >= 2; token += 2) stream<K, 2>(task, token);
    if (token < task.token_end) stream<K, 1>(task, token);
    return;
  }
  for (; token < task.token_end; token += token_block) {
    const int64_t tokens = task.token_end - token < token_block ? task.token_end - token : token_block;
    for (int64_t row = task.row_begin; row < task.row_end; row += panel_tiles * tile_rows)
      multiply_rows<K>(task, row, token, tokens, scratch);
  }
}

void matmul(const MatmulTask& task, std::byte* memory) {
  auto& scratch = *reinterpret_cast<Scratch*>(memory);
  switch (task.weights->type) {
    case WeightType::q4_0: return multiply_type<WeightType::q4_0>(task, scratch);
    case WeightType::q4_1: return multiply_type<WeightType::q4_1>(task, scratch);
    case WeightType::q5_0: return multiply_type<WeightType::q5_0>(task, scratch);
    case WeightType::q5_1: return multiply_type<WeightType::q5_1>(task, scratch);
    case WeightType::q8_0: return multiply_type<WeightType::q8_0>(task, scratch);
    case WeightType::q8_128: return multiply_type<WeightType::q8_128>(task, scratch);
    case WeightType::q2_k: return multiply_type<WeightType::q2_k>(task, scratch);
    case WeightType::q3_k: return multiply_type<WeightType::q3_k>(task, scratch);
    case WeightType::q4_k: return multiply_type<WeightType::q4_k>(task, scratch);
    case WeightType::q5_k: return multiply_type<WeightType::q5_k>(task, scratch);
    case WeightType::q6_k: return multiply_type<WeightType::q6_k>(task, scratch);
    default: return matmul_float_avx2(task);
  }
}

// The sum of 8 integers.
int32_t total(__m256i v) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

float largest_of(__m256 v) {
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

float largest_of(const float* x, int64_t n) {
  __m256 most = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += 8)
    most = _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_loadu_ps(x + i)), most);
  return largest_of(most);
}

void quantize_group(const float* x, float largest, int64_t token, int64_t group, const Activations& out) {
  const int64_t at = token * (out.cols / group_cols) + group;
  const bool usable = largest > 1e-30f;
  const __m256 inverse = _mm256_set1_ps(usable ? 127.0f / largest : 0);
  __m256i q[4];
  unroll<4>([&](auto i) {  // max first: it gives its second operand for NaN
    const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x + 8 * i.value), inverse);
    q[i.value] = _mm256_cvtps_epi32(
        _mm256_min_ps(_mm256_max_ps(scaled, _mm256_set1_ps(-127)), _mm256_set1_ps(127)));
  });
  const int32_t sums[2] = {total(_mm256_add_epi32(q[0], q[1])), total(_mm256_add_epi32(q[2], q[3]))};
  out.scales[at] = usable ? largest / 127.0f : 0;
  out.sums[2 * at] = int16_t(sums[0]);
  out.sums[2 * at + 1] = int16_t(sums[1]);
  out.group_sums[at] = int16_t(sums[0] + sums[1]);
  out.group_sums_f32[at] = float(sums[0] + sums[1]);
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packs work inside 128-bit lanes
  auto* values = reinterpret_cast<__m256i*>(out.values + token * out.value_stride() + group * group_cols);
  _mm256_storeu_si256(values, _mm256_permutevar8x32_epi32(bytes, order));
}

void quantize(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  if (out.f32) __builtin_memcpy(out.f32 + token * out.cols + col_begin, x + col_begin, size_t(col_end - col_begin) * 4);
  for (int64_t col = col_begin; col + out.scale_cols <= col_end; col += out.scale_cols) {
    const float largest = largest_of(x + col, out.scale_cols);
    for (int64_t i = col; i < col + out.scale_cols; i += group_cols)
      quantize_group(x + i, largest, token, i / group_cols, out);
  }
  find_shares_of(col_begin, col_end, token, out);
}

Tiling tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  return tokens > stream_tokens_max ? panel_tiling(weights, tokens, threads) : stream_tiling(weights, tokens, threads);
}

const MatmulKernels table = {Isa::avx2, quantize, matmul, dequantize_row, tiling, scratch_bytes_avx2};

}  // namespace

const MatmulKernels* matmul_avx2() { return &table; }

}  // namespace sillar::kernels
