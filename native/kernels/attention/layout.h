// How a block of 16 tokens lies in the KV cache, the same for every instruction set.
//
//   a layer's block:  [kv_head] tiles, one after the other; keys and values in blocks of their own
//
//   type   key tile                             value tile
//   f16    [head_dim][16 tokens]                [16 tokens][head_dim]
//   bf16   [head_dim / 2][16 tokens][2]         [8 token pairs][head_dim][2]
//   int8   [head_dim / 4][16 tokens][4], +128   [4 token quads][head_dim][4]
//          then 16 fp32 scales, one a token     then 16 fp32 scales, one a token
//
// So one vector load holds 16 tokens of a key dimension (pair, quad), or 16 dimensions of a value token
// (pair, quad), and the other operand of the dot product is a broadcast: no horizontal sums.
// Cached values are finite: kv_write saturates and turns NaN into 0, because a masked slot enters the
// sums with weight 0, and 0 x infinity would poison them. This is also why stale slots need no clearing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace sillar::kernels {
namespace {

constexpr int64_t max_head_dim = 256;
constexpr int64_t max_heads_per_kv = 64;

// Positions of a split are walked in tiles of this many tokens, at multiples of it.
constexpr int64_t kv_tile_tokens = 64;
static_assert(kv_split_tokens % kv_tile_tokens == 0 && kv_tile_tokens % kv_block_tokens == 0);

constexpr float log2_e = 1.44269504f;
constexpr float lowest_score = -3.40282347e38f;  // the running max before anything was seen: finite

constexpr float f16_largest = 65504.0f;
constexpr float bf16_largest = 3.38953139e38f;

inline int64_t key_index(KvType type, int64_t slot, int64_t d, int64_t /*head_dim*/) {
  switch (type) {
    case KvType::f16: return d * 16 + slot;
    case KvType::bf16: return d / 2 * 32 + slot * 2 + d % 2;
    case KvType::int8: return d / 4 * 64 + slot * 4 + d % 4;
  }
  return 0;
}

inline int64_t value_index(KvType type, int64_t slot, int64_t d, int64_t head_dim) {
  switch (type) {
    case KvType::f16: return slot * head_dim + d;
    case KvType::bf16: return (slot / 2 * head_dim + d) * 2 + slot % 2;
    case KvType::int8: return (slot / 4 * head_dim + d) * 4 + slot % 4;
  }
  return 0;
}

inline int64_t kv_tile_bytes(const KvLayout& layout) {
  const int64_t elements = kv_block_tokens * layout.head_dim;
  return layout.type == KvType::int8 ? elements + kv_block_tokens * int64_t{sizeof(float)} : elements * 2;
}

// First position that the row at `position` sees.
inline int64_t window_begin(int64_t position, int64_t window) {
  return window > 0 && position >= window ? position - window + 1 : 0;
}

}  // namespace
}  // namespace sillar::kernels
