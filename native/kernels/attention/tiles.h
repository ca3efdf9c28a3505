// Flash attention as templates, included after the Simd of an instruction set: a block of rows (queries x
// the heads of a GQA group, which share keys and values) walks over the positions in tiles of 64 with an
// online softmax. Both products are one micro kernel, multiply(): 6 rows x 4 (AVX2: 2) vectors of
// accumulators, fed by vector loads of keys or values and broadcasts of queries or weights.
//
// A row's result depends on nothing but the row: tiles, splits and the order of additions are fixed by
// position, and a tile that a row does not see leaves its state unchanged to the bit. After each split of
// kv_split_tokens positions the state is folded into the row's total just as merge() folds partial results.
#pragma once

#include "kernels/attention/layout.h"
#include "kernels/simd/exp.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

constexpr int64_t blocks_per_tile = kv_tile_tokens / kv_block_tokens;
constexpr int64_t max_rows = 512;
constexpr int64_t state_floats = 96 * max_head_dim;
constexpr int64_t query_tile_rows = 32;

// What the rows see: row r stands at position (first_row + r) / heads.
struct Visible {
  int64_t first_row, heads, window, end;
  int64_t row_begin(int64_t row) const { return window_begin((first_row + row) / heads, window); }
  int64_t row_end(int64_t row) const {
    const int64_t next = (first_row + row) / heads + 1;
    return next < end ? next : end;
  }
};

// A tile of positions as multiply() reads it, block by block.
template <class Kind>
struct Tile {
  int64_t begin = 0;
  const typename Kind::Stored* key[blocks_per_tile] = {};
  const typename Kind::Stored* value[blocks_per_tile] = {};
  const typename Kind::Stored* next_key[blocks_per_tile] = {};  // kinds that fetch ahead: the tile after
  const typename Kind::Stored* next_value[blocks_per_tile] = {};
  int64_t key_step = 0, value_step = 0;  // elements from `pack` dimensions (tokens) to the next
  const float* key_scale[blocks_per_tile] = {};  // int8 only
  const float* value_scale[blocks_per_tile] = {};
};

// A worker's scratch memory: the state of a block of rows, its queries, an unpacked tile.
struct Scratch {
  alignas(64) float out[state_floats];       // [rows][head_dim], this split's
  alignas(64) float total_out[state_floats];  // [rows][head_dim], of the splits before
  alignas(64) float queries[state_floats];   // [rows][head_dim] of Kind::Row
  alignas(64) float sum[max_rows * Simd::lanes];
  float max[max_rows], total_max[max_rows], total_sum[max_rows];
  alignas(64) float keys[kv_tile_tokens * max_head_dim];
  alignas(64) float values[kv_tile_tokens * max_head_dim];
};

template <class Kind>
struct Job {
  Scratch* scratch;
  Visible visible;
  int64_t head_dim;
  int64_t rows;
  const typename Kind::Row* queries() const { return reinterpret_cast<const typename Kind::Row*>(scratch->queries); }
};

// C vectors of a tile's block, and the same place in the next tile: each load of a decode fetches the line
// that the next tile will need, so that memory never waits for arithmetic.
template <class Kind, int C>
struct Columns {
  const typename Kind::Stored* at[C];
  const typename Kind::Stored* next[C];
  int64_t step;  // elements
};

template <class Kind, bool values, int R, int C>
SILLAR_INLINE void multiply(const Columns<Kind, C>& columns, const typename Kind::Row* rows, int64_t row_stride,
                            int64_t steps, Simd::F (&acc)[R][C]) {
  for (int64_t step = 0; step < steps; ++step) {
    typename Kind::Vector column[C];
    for (int c = 0; c < C; ++c) {
      const typename Kind::Stored* p = columns.at[c] + step * columns.step;
      column[c] = values ? Kind::load_value(p) : Kind::load_key(p);
      if (Kind::fetches_ahead) prefetch_l2(columns.next[c] + step * columns.step);
    }
    for (int r = 0; r < R; ++r) {
      const auto row = Kind::broadcast(rows + r * row_stride + step * Kind::pack);
      for (int c = 0; c < C; ++c) acc[r][c] = Kind::dot(acc[r][c], column[c], row);
    }
  }
}

template <class Kind, int R, int C>
SILLAR_INLINE void score_columns(const Job<Kind>& job, const Tile<Kind>& tile, int64_t row, int64_t vector,
                                 float (&scores)[R][kv_tile_tokens]) {
  Columns<Kind, C> columns;
  columns.step = tile.key_step;
  for (int c = 0; c < C; ++c) {
    const int64_t token = (vector + c) * Simd::lanes, block = token / kv_block_tokens;
    columns.at[c] = tile.key[block] + token % kv_block_tokens * Kind::pack;
    columns.next[c] = tile.next_key[block] + token % kv_block_tokens * Kind::pack;
  }
  Simd::F acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) acc[r][c] = Simd::zero();
  multiply<Kind, false, R, C>(columns, job.queries() + row * job.head_dim, job.head_dim,
                              job.head_dim / Kind::pack, acc);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) Simd::store(&scores[r][(vector + c) * Simd::lanes], acc[r][c]);
}

template <class Kind, int R>
void score_tile(const Job<Kind>& job, const Tile<Kind>& tile, int64_t row, int64_t vectors,
                float (&scores)[R][kv_tile_tokens]) {
  int64_t v = 0;
  for (; v + Simd::tile_columns <= vectors; v += Simd::tile_columns)
    score_columns<Kind, R, Simd::tile_columns>(job, tile, row, v, scores);
  for (; v < vectors; ++v) score_columns<Kind, R, 1>(job, tile, row, v, scores);
  if (tile.key_scale[0] == nullptr) return;
  for (v = 0; v < vectors; ++v) {
    const int64_t token = v * Simd::lanes;
    const Simd::F scale = Simd::load(tile.key_scale[token / kv_block_tokens] + token % kv_block_tokens);
    for (int r = 0; r < R; ++r) Simd::store(&scores[r][token], Simd::mul(Simd::load(&scores[r][token]), scale));
  }
}

// A row's scores that it does not see become -inf; returns the largest of the others.
SILLAR_INLINE float largest_score(float* scores, int64_t vectors, int64_t begin, int64_t end) {
  if (begin > 0 || end < vectors * Simd::lanes)
    for (int64_t v = 0; v < vectors; ++v) {
      const Simd::F s = Simd::load(scores + v * Simd::lanes), masked = Simd::set(-__builtin_inff());
      Simd::store(scores + v * Simd::lanes, Simd::within(s, masked, begin - v * Simd::lanes, end - v * Simd::lanes));
    }
  Simd::F largest = Simd::set(lowest_score);
  for (int64_t v = 0; v < vectors; ++v) largest = Simd::max(Simd::load(scores + v * Simd::lanes), largest);
  return Simd::reduce_max(largest);
}

// Scores become weights, the rows' max and sum go on; factor: what the rows' sums so far must be multiplied by.
// Step by step for all rows: one row's steps wait for each other.
template <class Kind, int R>
SILLAR_INLINE void softmax(const Tile<Kind>& tile, int64_t vectors, const int64_t (&begin)[R], const int64_t (&end)[R],
                           float (&scores)[R][kv_tile_tokens], float* max, float* sums,
                           typename Kind::Row (&weights)[R][kv_tile_tokens], float (&factor)[R]) {
  static_assert(R <= Simd::lanes);
  alignas(64) float change[Simd::lanes] = {};
  for (int r = 0; r < R; ++r) {
    const float largest = largest_score(scores[r], vectors, begin[r], end[r]);
    const float new_max = largest > max[r] ? largest : max[r];
    change[r] = max[r] - new_max;
    max[r] = new_max;
  }
  Simd::store(change, exp2(Simd::load(change)));
  Simd::F sum[R];
  for (int r = 0; r < R; ++r) {
    factor[r] = change[r];
    sum[r] = Simd::mul(Simd::load(sums + r * Simd::lanes), Simd::set(factor[r]));
  }
  for (int64_t v = 0; v < vectors; ++v) {
    const int64_t token = v * Simd::lanes;
    for (int r = 0; r < R; ++r) {
      Simd::F weight = exp2(Simd::sub(Simd::load(&scores[r][token]), Simd::set(max[r])));
      sum[r] = Simd::add(sum[r], weight);
      if (tile.value_scale[0] != nullptr)
        weight = Simd::mul(weight, Simd::load(tile.value_scale[token / kv_block_tokens] + token % kv_block_tokens));
      Kind::store(&weights[r][token], weight);
    }
  }
  for (int r = 0; r < R; ++r) Simd::store(sums + r * Simd::lanes, sum[r]);
}

template <class Kind, int R, int C>
SILLAR_INLINE void value_columns(const Job<Kind>& job, const Tile<Kind>& tile, int64_t row, int64_t vector, int64_t tokens,
                                 const typename Kind::Row* weights, const float (&factor)[R]) {
  float* out = job.scratch->out + row * job.head_dim + vector * Simd::lanes;
  Simd::F acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      acc[r][c] = Simd::mul(Simd::load(out + r * job.head_dim + c * Simd::lanes), Simd::set(factor[r]));
  for (int64_t first = 0; first < tokens; first += kv_block_tokens) {
    Columns<Kind, C> columns;
    columns.step = tile.value_step;
    for (int c = 0; c < C; ++c) {
      columns.at[c] = tile.value[first / kv_block_tokens] + (vector + c) * Simd::lanes * Kind::pack;
      columns.next[c] = tile.next_value[first / kv_block_tokens] + (vector + c) * Simd::lanes * Kind::pack;
    }
    const int64_t seen = tokens - first < kv_block_tokens ? tokens - first : kv_block_tokens;
    multiply<Kind, true, R, C>(columns, weights + first, kv_tile_tokens,
                               (seen + Kind::pack - 1) / Kind::pack, acc);
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) Simd::store(out + r * job.head_dim + c * Simd::lanes, acc[r][c]);
}

template <class Kind, int R>
void add_values(const Job<Kind>& job, const Tile<Kind>& tile, int64_t row, int64_t tokens,
                const typename Kind::Row* weights, const float (&factor)[R]) {
  const int64_t vectors = job.head_dim / Simd::lanes;
  int64_t v = 0;
  for (; v + Simd::tile_columns <= vectors; v += Simd::tile_columns)
    value_columns<Kind, R, Simd::tile_columns>(job, tile, row, v, tokens, weights, factor);
  for (; v < vectors; ++v) value_columns<Kind, R, 1>(job, tile, row, v, tokens, weights, factor);
}

inline int64_t clamp_to_tile(int64_t x) { return x < 0 ? 0 : x > kv_tile_tokens ? kv_tile_tokens : x; }

// R rows meet one tile. Not inlined: constants of exp2 would stay in registers that the sums need.
template <class Kind, int R>
[[gnu::noinline]] void attend_rows(const Job<Kind>& job, const Tile<Kind>& tile, int64_t row) {
  int64_t begin[R], end[R], tokens = 0;
  for (int r = 0; r < R; ++r) {
    begin[r] = clamp_to_tile(job.visible.row_begin(row + r) - tile.begin);
    end[r] = clamp_to_tile(job.visible.row_end(row + r) - tile.begin);
    if (begin[r] < end[r] && end[r] > tokens) tokens = end[r];
  }
  if (tokens == 0) return;
  const int64_t vectors = (tokens + Simd::lanes - 1) / Simd::lanes;
  alignas(64) float scores[R][kv_tile_tokens];
  alignas(64) typename Kind::Row weights[R][kv_tile_tokens];
  float factor[R];
  score_tile<Kind, R>(job, tile, row, vectors, scores);
  Scratch& s = *job.scratch;
  softmax<Kind, R>(tile, vectors, begin, end, scores, s.max + row, s.sum + row * Simd::lanes, weights, factor);
  add_values<Kind, R>(job, tile, row, tokens, &weights[0][0], factor);
}

template <class Kind>
void attend_tile(const Job<Kind>& job, const Tile<Kind>& tile) {
  int64_t row = 0;
  for (; row + 6 <= job.rows; row += 6) attend_rows<Kind, 6>(job, tile, row);
  switch (job.rows - row) {
    case 1: return attend_rows<Kind, 1>(job, tile, row);
    case 2: return attend_rows<Kind, 2>(job, tile, row);
    case 3: return attend_rows<Kind, 3>(job, tile, row);
    case 4: return attend_rows<Kind, 4>(job, tile, row);
    case 5: return attend_rows<Kind, 5>(job, tile, row);
    default: return;
  }
}

// total += part, both (weighted sum, max, sum of weights).
SILLAR_INLINE void fold(float* total_out, float& total_max, float& total_sum, const float* out, float max, float sum,
                        int64_t head_dim) {
  const float new_max = max > total_max || max != max ? max : total_max;
  const Simd::F old_factor = exp2(Simd::set(total_max - new_max)), factor = exp2(Simd::set(max - new_max));
  for (int64_t d = 0; d < head_dim; d += Simd::lanes) {
    const Simd::F old = Simd::mul(Simd::load(total_out + d), old_factor);
    Simd::store(total_out + d, Simd::fma(Simd::load(out + d), factor, old));
  }
  total_sum = Simd::first_lane(Simd::fma(Simd::set(sum), factor, Simd::mul(Simd::set(total_sum), old_factor)));
  total_max = new_max;
}

SILLAR_INLINE void normalise(const float* total_out, float total_sum, int64_t head_dim, float* out) {
  const Simd::F factor = Simd::set(1.0f / total_sum);
  for (int64_t d = 0; d < head_dim; d += Simd::lanes) Simd::store(out + d, Simd::mul(Simd::load(total_out + d), factor));
}

inline void start_split(Scratch& s, int64_t rows, int64_t head_dim) {
  for (int64_t i = 0; i < rows * head_dim; i += Simd::lanes) Simd::store(s.out + i, Simd::zero());
  for (int64_t i = 0; i < rows * Simd::lanes; i += Simd::lanes) Simd::store(s.sum + i, Simd::zero());
  for (int64_t i = 0; i < rows; ++i) s.max[i] = lowest_score;
}

inline void finish_split(Scratch& s, int64_t rows, int64_t head_dim) {
  for (int64_t r = 0; r < rows; ++r)
    fold(s.total_out + r * head_dim, s.total_max[r], s.total_sum[r], s.out + r * head_dim, s.max[r],
         Simd::reduce_add(Simd::load(s.sum + r * Simd::lanes)), head_dim);
}

// All positions that a block of rows sees; the totals are left in the scratch memory.
template <class Source>
void attend_block(const Job<typename Source::Kind>& job, const Source& source, int64_t begin, int64_t end) {
  Scratch& s = *job.scratch;
  for (int64_t i = 0; i < job.rows * job.head_dim; i += Simd::lanes) Simd::store(s.total_out + i, Simd::zero());
  for (int64_t r = 0; r < job.rows; ++r) {
    s.total_max[r] = lowest_score;
    s.total_sum[r] = 0;
  }
  start_split(s, job.rows, job.head_dim);
  for (int64_t t = begin / kv_tile_tokens * kv_tile_tokens; t < end; t += kv_tile_tokens) {
    if (t % kv_split_tokens == 0 && t > begin) {
      finish_split(s, job.rows, job.head_dim);
      start_split(s, job.rows, job.head_dim);
    }
    attend_tile(job, source.tile(t, end));
  }
  finish_split(s, job.rows, job.head_dim);
}

}  // namespace
}  // namespace sillar::kernels
