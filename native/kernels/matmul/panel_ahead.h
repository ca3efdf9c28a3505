// Prefill: the packed weights that the panel after this one is made of, fetched while this one is multiplied, for
// unpacking would wait for memory.
#pragma once

#include "kernels/matmul/packed.h"
#include "kernels/simd/prefetch.h"

namespace sillar::kernels {
namespace {

struct PanelAhead {
  const uint8_t* weights;  // of its first row tile
  int64_t tile_bytes;      // from row tile to row tile
  int64_t lines;           // of 64 bytes of each
  int row_tiles;
  int64_t share;           // of the lines in one of the parts that fetch them, in 1 / 2^20

  // The share of `count` parts from `part` on.
  void fetch(int64_t part, int64_t count) const {
    const auto until = [&](int64_t i) { return i * share >> 20 < lines ? i * share >> 20 : lines; };
    for (int64_t line = until(part), end = until(part + count); line < end; ++line)
      for (int r = 0; r < row_tiles; ++r) prefetch_l2(weights + r * tile_bytes + 64 * line);
  }
};

// After the `count` groups from `group` on of the row tiles at `tiles`, in `parts` shares; beyond the task's rows it helps
// whoever takes these.
template <WeightType type>
PanelAhead panel_after(const uint8_t* tiles, int64_t tile_bytes, int row_tiles, int64_t group, int64_t count,
                       int64_t groups, int64_t parts) {
  constexpr PackedFormat f = packed_format(type);
  const auto at = [&](int64_t g) { return unit_bytes(f) + g / block_groups(f) * packed_block_bytes(f); };
  const bool turns = group + count >= groups;
  const int64_t next = turns ? 0 : group + count, left = groups - next;
  const int64_t bytes = at(left < count ? left : count);
  const int64_t lines = (bytes + 63) / 64;
  return {tiles + (turns ? row_tiles * tile_bytes : 0) + at(next), tile_bytes, lines, row_tiles, (lines << 20) / parts + 1};
}

}  // namespace
}  // namespace sillar::kernels
