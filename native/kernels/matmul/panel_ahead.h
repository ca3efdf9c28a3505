// Prefill: the packed weights that the panel after this one is made of, fetched while this one is multiplied, for
// unpacking would wait for memory.
#pragma once

#include "kernels/matmul/packed.h"

namespace sillar::kernels {
namespace {

struct PanelAhead {
  const uint8_t* weights;  // of its first row tile
  int64_t tile_bytes;      // from row tile to row tile
  int64_t lines;           // of 64 bytes of each
  int row_tiles;

  // The share of `count` of `of` tokens, from `token` on.
  void fetch(int64_t token, int64_t count, int64_t of) const {
    const int64_t end = lines * (token + count) / of;
    for (int64_t line = lines * token / of; line < end; ++line)
      for (int r = 0; r < row_tiles; ++r) __builtin_prefetch(weights + r * tile_bytes + 64 * line, 0, 2);
  }
};

// After the `count` groups from `group` on of the row tiles at `tiles`; beyond the task's rows it helps whoever takes these.
template <WeightType type>
PanelAhead panel_after(const uint8_t* tiles, int64_t tile_bytes, int row_tiles, int64_t group, int64_t count,
                       int64_t groups) {
  constexpr PackedFormat f = packed_format(type);
  const auto at = [&](int64_t g) { return unit_bytes(f) + g / block_groups(f) * packed_block_bytes(f); };
  const bool turns = group + count >= groups;
  const int64_t next = turns ? 0 : group + count, left = groups - next;
  const int64_t bytes = at(left < count ? left : count);
  return {tiles + (turns ? row_tiles * tile_bytes : 0) + at(next), tile_bytes, (bytes + 63) / 64, row_tiles};
}

}  // namespace
}  // namespace sillar::kernels
