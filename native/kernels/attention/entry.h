// The functions of an AttentionKernels table, made from the templates: attention over a KV type, merge,
// encoder attention, and writing the cache (to the bit the same on every instruction set).
#pragma once

#include "kernels/attention/kinds.h"

namespace sillar::kernels {
namespace {

inline int64_t rows_per_block(int64_t head_dim) {
  const int64_t fit = state_floats / head_dim;
  return fit < max_rows ? fit : max_rows;
}

// The rows' totals go where the task wants them: normalised, or as a partial result for merge().
inline void finish_rows(const AttentionTask& task, const Scratch& s, int64_t first_row, int64_t rows) {
  const int64_t n = task.layout.head_dim;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = first_row + r;
    if (task.partial == nullptr) {
      float* out = task.out + row / task.heads_per_kv * task.out_stride + row % task.heads_per_kv * n;
      normalise(s.total_out + r * n, s.total_sum[r], n, out);
      continue;
    }
    float* partial = task.partial + row * (n + 2);
    for (int64_t d = 0; d < n; d += Simd::lanes) Simd::store(partial + d, Simd::load(s.total_out + r * n + d));
    partial[n] = s.total_max[r];
    partial[n + 1] = s.total_sum[r];
  }
}

template <class Source>
inline void attention_from(const AttentionTask& task, const Source& source, Scratch& scratch) {
  using Kind = typename Source::Kind;
  const int64_t n = task.layout.head_dim, all_rows = task.queries * task.heads_per_kv, step = rows_per_block(n);
  const int64_t limit = task.kv_end > 0 ? task.kv_end : INT64_MAX;
  for (int64_t first = 0; first < all_rows; first += step) {
    const int64_t rows = all_rows - first < step ? all_rows - first : step;
    auto* queries = reinterpret_cast<typename Kind::Row*>(scratch.queries);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = first + r;
      const float* q = task.q + row / task.heads_per_kv * task.q_stride + row % task.heads_per_kv * n;
      Kind::query(q, task.scale * log2_e, n, queries + r * n);
    }
    const Visible visible{task.first_position * task.heads_per_kv + first, task.heads_per_kv, task.window, limit};
    const Job<Kind> job{&scratch, visible, n, rows};
    int64_t begin = visible.row_begin(0);
    if (begin < task.kv_begin) begin = task.kv_begin;
    attend_block(job, source, begin, visible.row_end(rows - 1));
    finish_rows(task, scratch, first, rows);
  }
}

inline bool few_rows(const AttentionTask& task) { return task.queries * task.heads_per_kv <= 2 * Simd::tile_rows; }

// Few rows read the cache as it lies; for more, unpacking a tile once pays.
template <class Kind>
void attention_fp32(const AttentionTask& task, Scratch& scratch) {
  if (few_rows(task))
    attention_from(task, PagedSource<Ahead<Kind>>{&task}, scratch);
  else
    attention_from(task, UnpackedSource<Kind>{{&task}, &scratch}, scratch);
}

inline void merge(const AttentionTask& task, const float* partial, int64_t partial_stride, int64_t splits) {
  const int64_t n = task.layout.head_dim;
  for (int64_t row = 0; row < task.queries * task.heads_per_kv; ++row) {
    alignas(64) float total[max_head_dim] = {};
    float max = lowest_score, sum = 0;
    for (int64_t i = 0; i < splits; ++i) {
      const float* part = partial + i * partial_stride + row * (n + 2);
      fold(total, max, sum, part, part[n], part[n + 1], n);
    }
    normalise(total, sum, n, task.out + row / task.heads_per_kv * task.out_stride + row % task.heads_per_kv * n);
  }
}

inline void encoder_attention(const EncoderAttentionTask& task, std::byte* scratch_bytes) {
  Scratch& scratch = *reinterpret_cast<Scratch*>(scratch_bytes);
  const int64_t n = task.head_dim, step = rows_per_block(n);
  for (int64_t first = 0; first < task.tokens; first += step) {
    const int64_t rows = task.tokens - first < step ? task.tokens - first : step;
    for (int64_t r = 0; r < rows; ++r)
      KindF32::query(task.q + (first + r) * task.stride, task.scale * log2_e, n, scratch.queries + r * n);
    const Job<KindF32> job{&scratch, {task.tokens, 1, 0, task.tokens}, n, rows};
    attend_block(job, DenseSource{&task, &scratch}, 0, task.tokens);
    for (int64_t r = 0; r < rows; ++r)
      normalise(scratch.total_out + r * n, scratch.total_sum[r], n, task.out + (first + r) * task.out_stride);
  }
}

SILLAR_INLINE Simd::F finite(Simd::F x, float largest) {
  const Simd::F limit = Simd::set(largest);
  return Simd::max(Simd::sub(Simd::zero(), limit), Simd::min(limit, Simd::nan_to_zero(x)));
}

// One head of one token as 16-bit floats, in order.
inline void round_row(KvType type, const float* x, int64_t n, uint16_t* out) {
  for (int64_t d = 0; d < n; d += Simd::lanes) {
    if (type == KvType::f16)
      Simd::store_f16(out + d, finite(Simd::load(x + d), f16_largest));
    else
      Simd::store_bf16(out + d, finite(Simd::load(x + d), bf16_largest));
  }
}

// One head of one token as bytes in two's complement, in order; returns the scale.
inline float quantise_row(const float* x, int64_t n, int8_t* out) {
  Simd::F largest = Simd::zero();
  for (int64_t d = 0; d < n; d += Simd::lanes)
    largest = Simd::max(Simd::abs(finite(Simd::load(x + d), bf16_largest)), largest);
  const float scale = Simd::reduce_max(largest) / 127.0f;
  alignas(64) float rounded[max_head_dim];
  for (int64_t d = 0; d < n; d += Simd::lanes) {
    const Simd::F q = Simd::div(finite(Simd::load(x + d), bf16_largest), Simd::set(scale));
    Simd::store(rounded + d, Simd::round(finite(q, 127.0f)));  // 0 / 0, a row of zeros, becomes 0
  }
  for (int64_t d = 0; d < n; ++d) out[d] = int8_t(rounded[d]);
  return scale;
}

inline void write_int8(const KvLayout& layout, const float* k, const float* v, std::byte* key_tile, std::byte* value_tile,
                int64_t slot) {
  const int64_t n = layout.head_dim;
  int8_t row[max_head_dim];
  auto* key_scales = reinterpret_cast<float*>(key_tile + kv_block_tokens * n);
  auto* value_scales = reinterpret_cast<float*>(value_tile + kv_block_tokens * n);
  key_scales[slot] = quantise_row(k, n, row);
  for (int64_t d = 0; d < n; ++d) key_tile[key_index(KvType::int8, slot, d, n)] = std::byte(row[d] + 128);
  value_scales[slot] = quantise_row(v, n, row);
  for (int64_t d = 0; d < n; ++d) value_tile[value_index(KvType::int8, slot, d, n)] = std::byte(row[d]);
}

inline void write_half(const KvLayout& layout, const float* k, const float* v, std::byte* key_tile, std::byte* value_tile,
                int64_t slot) {
  const int64_t n = layout.head_dim;
  alignas(64) uint16_t row[max_head_dim];
  auto* keys = reinterpret_cast<uint16_t*>(key_tile);
  auto* values = reinterpret_cast<uint16_t*>(value_tile);
  round_row(layout.type, k, n, row);
  for (int64_t d = 0; d < n; ++d) keys[key_index(layout.type, slot, d, n)] = row[d];
  round_row(layout.type, v, n, row);
  for (int64_t d = 0; d < n; ++d) values[value_index(layout.type, slot, d, n)] = row[d];
}

inline void kv_write(const KvLayout& layout, const float* k, const float* v, std::byte* k_block, std::byte* v_block,
              int64_t slot) {
  const auto write = layout.type == KvType::int8 ? write_int8 : write_half;
  for (int64_t head = 0; head < layout.kv_heads; ++head) {
    const int64_t offset = head * kv_tile_bytes(layout);
    write(layout, k + head * layout.head_dim, v + head * layout.head_dim, k_block + offset, v_block + offset, slot);
  }
}

}  // namespace
}  // namespace sillar::kernels
