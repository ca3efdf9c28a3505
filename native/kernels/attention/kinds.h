// How a KV type's elements enter multiply(): the fp32 kinds, right on every processor. A kind unpacks one
// vector of stored elements into `pack` vectors of floats; bf16 dot products are in avx512bf16.cc.
#pragma once

#include "base/half.h"
#include "kernels/attention/tiles.h"

namespace sillar::kernels {
namespace {

template <int n>
struct WideVector {
  Simd::F x[n];
};

// What the fp32 kinds share: rows of floats, `pack` of them a step.
template <int n>
struct WideRows {
  static constexpr int pack = n;
  static constexpr bool fetches_ahead = false;
  using Row = float;
  using Vector = WideVector<n>;
  SILLAR_INLINE Vector broadcast(const float* row) {
    Vector v;
    for (int i = 0; i < n; ++i) v.x[i] = Simd::set(row[i]);
    return v;
  }
  SILLAR_INLINE Simd::F dot(Simd::F acc, const Vector& a, const Vector& b) {
    for (int i = 0; i < n; ++i) acc = Simd::fma(a.x[i], b.x[i], acc);
    return acc;
  }
  SILLAR_INLINE void store(float* p, Simd::F x) { Simd::store(p, x); }
  SILLAR_INLINE void query(const float* q, float factor, int64_t n_values, float* row) {
    for (int64_t i = 0; i < n_values; i += Simd::lanes)
      Simd::store(row + i, Simd::mul(Simd::load(q + i), Simd::set(factor)));
  }
};

struct KindF32 : WideRows<1> {
  using Stored = float;
  SILLAR_INLINE Vector load_key(const float* p) { return {{Simd::load(p)}}; }
  SILLAR_INLINE Vector load_value(const float* p) { return {{Simd::load(p)}}; }
};

struct KindF16 : WideRows<1> {
  using Stored = uint16_t;
  SILLAR_INLINE Vector load_key(const uint16_t* p) { return {{Simd::load_f16(p)}}; }
  SILLAR_INLINE Vector load_value(const uint16_t* p) { return {{Simd::load_f16(p)}}; }
};

struct KindBf16 : WideRows<2> {
  using Stored = uint16_t;
  SILLAR_INLINE Vector load_key(const uint16_t* p) {
    const Simd::I bits = Simd::load_bits(p);
    return {{Simd::bf16_low(bits), Simd::bf16_high(bits)}};
  }
  SILLAR_INLINE Vector load_value(const uint16_t* p) { return load_key(p); }
};

struct KindInt8 : WideRows<4> {
  using Stored = uint8_t;
  SILLAR_INLINE Vector unpack(Simd::I x) {
    return {{Simd::signed_byte<0>(x), Simd::signed_byte<1>(x), Simd::signed_byte<2>(x), Simd::signed_byte<3>(x)}};
  }
  SILLAR_INLINE Vector load_key(const uint8_t* p) { return unpack(Simd::flip_byte_signs(Simd::load_bits(p))); }
  SILLAR_INLINE Vector load_value(const uint8_t* p) { return unpack(Simd::load_bits(p)); }
};

// The same kind for few rows: the walk over the cache is bound by memory.
template <class Kind>
struct Ahead : Kind {
  static constexpr bool fetches_ahead = true;
};

// Tiles straight from the paged cache.
template <class K>
struct PagedSource {
  using Kind = K;
  using Stored = typename Kind::Stored;
  const AttentionTask* task;

  Tile<Kind> tile(int64_t begin, int64_t end) const {
    const KvLayout& layout = task->layout;
    const int64_t block_bytes = layout.kv_heads * kv_tile_bytes(layout), offset = task->kv_head * kv_tile_bytes(layout);
    const int64_t elements = kv_block_tokens * layout.head_dim;
    Tile<Kind> t;
    t.begin = begin;
    t.key_step = kv_block_tokens * Kind::pack;
    t.value_step = layout.head_dim * Kind::pack;
    for (int64_t i = 0; i < blocks_per_tile && begin + i * kv_block_tokens < end; ++i) {
      const int32_t* block = task->blocks + begin / kv_block_tokens + i;
      const int64_t at = *block * block_bytes + offset;
      t.key[i] = reinterpret_cast<const Stored*>(task->k + at);
      t.value[i] = reinterpret_cast<const Stored*>(task->v + at);
      if (layout.type == KvType::int8) {
        t.key_scale[i] = reinterpret_cast<const float*>(task->k + at + elements);
        t.value_scale[i] = reinterpret_cast<const float*>(task->v + at + elements);
      }
      const bool last = begin + (i + blocks_per_tile) * kv_block_tokens >= end;
      const int64_t next = last ? at : block[blocks_per_tile] * block_bytes + offset;
      t.next_key[i] = reinterpret_cast<const Stored*>(task->k + next);
      t.next_value[i] = reinterpret_cast<const Stored*>(task->v + next);
    }
    return t;
  }
};

// Tiles of the paged cache turned to fp32 once, for many rows.
template <class Packed>
struct UnpackedSource {
  using Kind = KindF32;
  PagedSource<Packed> packed;
  Scratch* scratch;

  Tile<KindF32> tile(int64_t begin, int64_t end) const {
    const Tile<Packed> from = packed.tile(begin, end);
    const int64_t head_dim = packed.task->layout.head_dim;
    Tile<KindF32> t;
    t.begin = begin;
    t.key_step = kv_tile_tokens;
    t.value_step = head_dim;
    for (int64_t i = 0; i < blocks_per_tile && from.key[i] != nullptr; ++i) {
      float* keys = scratch->keys + i * kv_block_tokens;
      float* values = scratch->values + i * kv_block_tokens * head_dim;
      unpack_keys(from.key[i], head_dim, keys);
      unpack_values(from.value[i], head_dim, values);
      t.key[i] = keys;
      t.value[i] = values;
      t.key_scale[i] = from.key_scale[i];
      t.value_scale[i] = from.value_scale[i];
    }
    return t;
  }

  static void unpack_keys(const typename Packed::Stored* block, int64_t head_dim, float* keys) {
    for (int64_t d = 0; d < head_dim; d += Packed::pack)
      for (int64_t token = 0; token < kv_block_tokens; token += Simd::lanes) {
        const auto v = Packed::load_key(block + d * kv_block_tokens + token * Packed::pack);
        for (int i = 0; i < Packed::pack; ++i) Simd::store(keys + (d + i) * kv_tile_tokens + token, v.x[i]);
      }
  }

  static void unpack_values(const typename Packed::Stored* block, int64_t head_dim, float* values) {
    for (int64_t token = 0; token < kv_block_tokens; token += Packed::pack)
      for (int64_t d = 0; d < head_dim; d += Simd::lanes) {
        const auto v = Packed::load_value(block + token * head_dim + d * Packed::pack);
        for (int i = 0; i < Packed::pack; ++i) Simd::store(values + (token + i) * head_dim + d, v.x[i]);
      }
  }
};

// An encoder's keys and values, fp32 rows: keys are transposed into the scratch memory, tile by tile.
struct DenseSource {
  using Kind = KindF32;
  const EncoderAttentionTask* task;
  Scratch* scratch;

  Tile<KindF32> tile(int64_t begin, int64_t end) const {
    Tile<KindF32> t;
    t.begin = begin;
    t.key_step = kv_tile_tokens;
    t.value_step = task->stride;
    const int64_t tokens = end - begin < kv_tile_tokens ? end - begin : kv_tile_tokens;
    for (int64_t token = 0; token < tokens; ++token) {
      const float* key = task->k + (begin + token) * task->stride;
      for (int64_t d = 0; d < task->head_dim; ++d) scratch->keys[d * kv_tile_tokens + token] = key[d];
    }
    for (int64_t i = 0; i * kv_block_tokens < tokens; ++i) {
      t.key[i] = scratch->keys + i * kv_block_tokens;
      t.value[i] = task->v + (begin + i * kv_block_tokens) * task->stride;
    }
    return t;
  }
};

}  // namespace
}  // namespace sillar::kernels
