// What the AVX-512 kernels for many tokens share: how a product is cut into register tiles of 64 rows x 3 tokens, the
// inner loop, and where a tile's sums come from and go to.
//
// All columns of 64 rows would not stay in L1, so the columns come in chunks; fp32 sums wait in `acc` from chunk to
// chunk, so that they add up in order. The tile that sees the last columns stores the result itself.
#pragma once

#include "kernels/matmul/avx512_unpack.h"
#include "kernels/matmul/panel_ahead.h"
#include "kernels/matmul/tokens.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

constexpr int64_t token_block = 512;
constexpr int panel_vectors = 4;  // 64 rows
constexpr int token_tile = 3;
using Sums = float[token_block * panel_vectors * tile_rows];

struct Place {
  const MatmulTask& task;
  int64_t row;       // of the task's product
  bool first, last;  // of the chunks of columns
  int64_t token;     // the tile's first, from 0 in its block of tokens
  Tokens x;
  float* acc;
  float* out;
};

inline Place place(const MatmulTask& task, int64_t row, int64_t token, int64_t group, int64_t groups, float* acc) {
  const int64_t all = task.x->cols / group_cols;
  return {task, row, group == 0, group + groups == all, 0, tokens_at(*task.x, token, group), acc,
          task.out + token * task.out_stride + row};
}

// The place of the tile at `token`. Each tile finds it: of what a tile is not told it needs only a part.
template <int vectors>
[[gnu::always_inline]] inline Place tile_at(const Place& from, int64_t token) {
  return {from.task, from.row, from.first, from.last, token, advanced(from.x, token), from.acc + token * vectors * tile_rows,
          from.out + token * from.task.out_stride};
}

// Calls tile(Constant<n>, token) for each n <= token_tile tokens of [0, tokens).
template <class Tile>
[[gnu::always_inline]] inline void for_tiles(int64_t tokens, const Tile& tile) {
  int64_t token = 0;
  for (; token + token_tile <= tokens; token += token_tile) tile(Constant<token_tile>{}, token);
  for (; token + 2 <= tokens; token += 2) tile(Constant<2>{}, token);
  if (token < tokens) tile(Constant<1>{}, token);
}

// Calls rows(Constant<vectors>, row, token, tokens) for each up to 4 row vectors and 512 tokens of a task.
// Long rows take fewer tokens at once, for each panel reads all their values from the shared cache.
template <class Rows>
void for_panels(const MatmulTask& task, const Rows& rows) {
  const int64_t block = task.x->cols > 8192 ? token_block / 2 : token_block;
  for (int64_t token = task.token_begin; token < task.token_end; token += block) {
    const int64_t tokens = task.token_end - token < block ? task.token_end - token : block;
    for (int64_t row = task.row_begin; row < task.row_end; row += panel_vectors * tile_rows) {
      const int64_t vectors = (task.row_end - row + tile_rows - 1) / tile_rows;
      if (vectors >= 4) rows(Constant<4>{}, row, token, tokens);
      else if (vectors == 3) rows(Constant<3>{}, row, token, tokens);
      else if (vectors == 2) rows(Constant<2>{}, row, token, tokens);
      else rows(Constant<1>{}, row, token, tokens);
    }
  }
}

// acc += integer dot products of `quads` quads, `quad_step` bytes apart, of row vectors `step` bytes apart; `values`
// steps by `stride` from token to token.
template <int quads, int quad_step, int vectors, int tokens>
[[gnu::always_inline]] inline void add_dots(const uint8_t* operands, int64_t step, const int8_t* values, int64_t stride,
                                            __m512i (&acc)[tokens][vectors]) {
  unroll<quads>([&](auto q) {
    __m512i value[tokens];
    unroll<tokens>([&](auto t) { value[t.value] = broadcast32(values + t.value * stride + 4 * q.value); });
    unroll<vectors>([&](auto r) {
      const __m512i operand = load512(operands + r.value * step + q.value * quad_step);
      unroll<tokens>([&](auto t) {
        acc[t.value][r.value] = _mm512_dpbusd_epi32(acc[t.value][r.value], operand, value[t.value]);
      });
    });
  });
}

// Calls f(t, r) for each token and row vector of a tile.
template <int vectors, int tokens, class F>
[[gnu::always_inline]] inline void for_sums(const F& f) {
  unroll<tokens>([&](auto t) { unroll<vectors>([&](auto r) { f(t.value, r.value); }); });
}

// The sums of the chunks before; fetches where the result will go.
template <int vectors, int tokens>
[[gnu::always_inline]] inline void begin_sums(const Place& at, __m512 (&acc)[tokens][vectors]) {
  if (at.last)
    for_sums<vectors, tokens>([&](int t, int r) {
      prefetch_written(at.out + t * at.task.out_stride + r * tile_rows);
    });
  for_sums<vectors, tokens>([&](int t, int r) {
    acc[t][r] = at.first ? _mm512_setzero_ps() : _mm512_load_ps(at.acc + (t * vectors + r) * tile_rows);
  });
}

// Puts the sums where the next chunk finds them or, after the last, the result where the task wants it.
template <int vectors, int tokens>
[[gnu::always_inline]] inline void end_sums(const Place& at, __m512 (&acc)[tokens][vectors]) {
  if (!at.last) {
    for_sums<vectors, tokens>([&](int t, int r) { _mm512_store_ps(at.acc + (t * vectors + r) * tile_rows, acc[t][r]); });
    return;
  }
  const MatmulTask& task = at.task;
  __mmask16 rows[vectors];
  unroll<vectors>([&](auto r) { rows[r.value] = row_mask(task.row_end - at.row - r.value * tile_rows); });
  const auto out = [&](int t, int r) { return at.out + t * task.out_stride + r * tile_rows; };
  if (task.bias)
    for_sums<vectors, tokens>([&](int t, int r) {
      acc[t][r] = _mm512_add_ps(acc[t][r], _mm512_maskz_loadu_ps(rows[r], task.bias + at.row + r * tile_rows));
    });
  if (task.add_to_out)
    for_sums<vectors, tokens>([&](int t, int r) {
      acc[t][r] = _mm512_add_ps(_mm512_maskz_loadu_ps(rows[r], out(t, r)), acc[t][r]);
    });
  for_sums<vectors, tokens>([&](int t, int r) { _mm512_mask_storeu_ps(out(t, r), rows[r], acc[t][r]); });
}

}  // namespace
}  // namespace sillar::kernels
