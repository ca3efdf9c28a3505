// Weights that are unpacked in registers serve a few tokens at a time, row tile by row tile: it stays in cache for the next
// pass. Nothing is fetched into L2 on the way: in huge pages the processor is ahead by itself.
#pragma once

#include "kernels/kernels.h"
#include "kernels/matmul/packed.h"
#include "kernels/matmul/unroll.h"

namespace sillar::kernels {
namespace {

// Calls tile(Constant<n>, row, token) for each row tile and n <= most tokens of a task.
template <int most, class Tile>
[[gnu::always_inline]] inline void for_passes(const MatmulTask& task, const Tile& tile) {
  for (int64_t row = task.row_begin; row < task.row_end; row += tile_rows)
    for (int64_t token = task.token_begin; token < task.token_end;) {
      const int64_t left = task.token_end - token;
      if (left >= most) tile(Constant<most>{}, row, token), token += most;
      else if (left >= 8) tile(Constant<8>{}, row, token), token += 8;
      else if (left >= 4) tile(Constant<4>{}, row, token), token += 4;
      else if (left >= 2) tile(Constant<2>{}, row, token), token += 2;
      else tile(Constant<1>{}, row, token), token += 1;
    }
}

}  // namespace
}  // namespace sillar::kernels
