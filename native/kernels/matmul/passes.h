// Weights that are unpacked in registers serve a few tokens at a time, row tile by row tile: it stays in cache for the next
// pass, and the passes take turns in fetching the row tile below, so that memory is read all the time.
#pragma once

#include "kernels/kernels.h"
#include "kernels/matmul/packed.h"
#include "kernels/matmul/unroll.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

struct Pass {
  int64_t index, count;
  int64_t tile_bytes;  // from row tile to row tile
};

// What a pass fetches of the row tile below: in the order it lies, so that the processor's own fetching ahead goes with it. On
// its own a thread waits for no more lines at once than would bring a third of what it can read.
struct Below {
  const uint8_t* next;
  int64_t share;  // bytes at each step

  // For a row tile that is gone through in so many steps.
  Below(const uint8_t* tile, Pass pass, int64_t steps) : next(tile + pass.tile_bytes), share(0) {
    if (pass.count < 2) return;  // one pass reads as it goes
    next += pass.index * pass.tile_bytes / pass.count;
    share = (pass.tile_bytes / pass.count + steps - 1) / steps;
  }

  [[gnu::always_inline]] void fetch() {
    for (int64_t line = 0; line < share; line += 64) prefetch_l2(next + line);
    next += share;
  }
};

// Calls tile(Constant<n>, row, token, pass) for each row tile and n <= most tokens of a task.
template <int most, class Tile>
[[gnu::always_inline]] inline void for_passes(const MatmulTask& task, const Tile& tile) {
  const int64_t tile_bytes = packed_tile_bytes(task.weights->type, task.x->cols);
  const int64_t whole = (task.token_end - task.token_begin) / most;
  for (int64_t row = task.row_begin; row < task.row_end; row += tile_rows)
    for (int64_t token = task.token_begin; token < task.token_end;) {
      const int64_t left = task.token_end - token;
      const Pass pass{(token - task.token_begin) / most, whole, tile_bytes};
      if (left >= most) tile(Constant<most>{}, row, token, pass), token += most;
      else if (left >= 8) tile(Constant<8>{}, row, token, pass), token += 8;
      else if (left >= 4) tile(Constant<4>{}, row, token, pass), token += 4;
      else if (left >= 2) tile(Constant<2>{}, row, token, pass), token += 2;
      else tile(Constant<1>{}, row, token, pass), token += 1;
    }
}

}  // namespace
}  // namespace sillar::kernels
