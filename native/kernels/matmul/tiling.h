// How a product is dealt to threads: pieces small enough that the last ones end together, also when a
// neighbour takes a core away, and large enough that unpacking and dealing do not show.
#pragma once

#include "kernels/kernels.h"
#include "kernels/matmul/packed.h"

namespace sillar::kernels {

static inline int64_t divided_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

// Many tokens: dealt to threads by tokens first, so that each finds near what it wrote before, then by up to 64 rows. A task
// takes whole steps of tokens, at least least_tokens: so many pay for reading and unpacking its weights.
static inline Tiling many_tiling(const PackedMatrix& weights, int64_t tokens, int threads, int64_t least_tokens, int64_t step) {
  const int64_t wanted = 8 * threads, tokens_max = 512;
  int64_t rows = 64, row_tasks = divided_up(weights.rows, rows);
  int64_t parts = divided_up(tokens, tokens_max);
  while ((parts < threads || row_tasks * parts < wanted) && tokens / (parts + 1) >= least_tokens) ++parts;
  if (row_tasks * parts < wanted) rows = 32;
  const int64_t part = divided_up(divided_up(tokens, parts), step) * step;
  return {rows, part < tokens ? part : tokens};
}

// Weights that are unpacked to panels, in the time of about 2 tokens.
static inline Tiling panel_tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  return many_tiling(weights, tokens, threads, 96, 24);
}

// q4_0 and q4_1, which have no panel: for each part of the tokens weights are read again, which shows the more the longer
// their rows are.
static inline Tiling pair_tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  const int64_t by_cols = weights.cols / 32;
  return many_tiling(weights, tokens, threads, by_cols < 32 ? 32 : by_cols > 64 ? 64 : by_cols, 8);
}

// Few tokens: runs of row tiles of about 256 KiB, at least four a thread, as many for each.
static inline Tiling stream_tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  const int64_t all = divided_up(weights.rows, tile_rows);
  const int64_t runs = divided_up(all * packed_tile_bytes(weights.type, weights.cols), 256 * 1024);
  const int64_t of_thread = divided_up(runs, threads);
  return {divided_up(all, threads * (of_thread > 4 ? of_thread : 4)) * tile_rows, tokens};
}

}  // namespace sillar::kernels
