// Attention written for reading: one row at a time, scores in a first pass, fp64 sums. The oracle of
// the other files.
#include <cmath>

#include "base/half.h"
#include "kernels/attention/layout.h"
#include "kernels/isa_entries.h"

namespace sillar::kernels {
namespace {

float finite(float x, float largest) {
  if (x != x) return 0;
  return x > largest ? largest : x < -largest ? -largest : x;
}

// int8: the scale of one head of one token, x = scale * q with |q| <= 127.
float int8_scale(const float* x, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::fmax(largest, std::fabs(finite(x[i], bf16_largest)));
  return largest / 127.0f;
}

int quantise(float x, float scale) {
  if (scale == 0) return 0;
  const float q = std::nearbyint(finite(x, bf16_largest) / scale);
  return int(q > 127 ? 127 : q < -127 ? -127 : q);
}

using Index = int64_t (*)(KvType, int64_t slot, int64_t d, int64_t head_dim);

void write_tile(const KvLayout& layout, const float* x, std::byte* tile, int64_t slot, Index index, int bias) {
  const float scale = layout.type == KvType::int8 ? int8_scale(x, layout.head_dim) : 0;
  for (int64_t d = 0; d < layout.head_dim; ++d) {
    const int64_t i = index(layout.type, slot, d, layout.head_dim);
    if (layout.type == KvType::f16) {
      reinterpret_cast<uint16_t*>(tile)[i] = f32_to_f16(finite(x[d], f16_largest));
    } else if (layout.type == KvType::bf16) {
      reinterpret_cast<uint16_t*>(tile)[i] = f32_to_bf16(finite(x[d], bf16_largest));
    } else {
      tile[i] = std::byte(quantise(x[d], scale) + bias);
    }
  }
  if (layout.type == KvType::int8)
    reinterpret_cast<float*>(tile + kv_block_tokens * layout.head_dim)[slot] = scale;
}

void kv_write(const KvLayout& layout, const float* k, const float* v, std::byte* k_block, std::byte* v_block,
              int64_t slot) {
  for (int64_t head = 0; head < layout.kv_heads; ++head) {
    const int64_t offset = head * kv_tile_bytes(layout);
    write_tile(layout, k + head * layout.head_dim, k_block + offset, slot, key_index, 128);
    write_tile(layout, v + head * layout.head_dim, v_block + offset, slot, value_index, 0);
  }
}

double read_tile(const KvLayout& layout, const std::byte* tile, int64_t slot, int64_t i, int bias) {
  if (layout.type == KvType::f16) return f16_to_f32(reinterpret_cast<const uint16_t*>(tile)[i]);
  if (layout.type == KvType::bf16) return bf16_to_f32(reinterpret_cast<const uint16_t*>(tile)[i]);
  const float scale = reinterpret_cast<const float*>(tile + kv_block_tokens * layout.head_dim)[slot];
  const int q = bias != 0 ? int(uint8_t(tile[i])) - bias : int(int8_t(tile[i]));
  return double(scale) * q;
}

const std::byte* tile_of(const AttentionTask& task, const std::byte* base, int64_t position) {
  const int64_t block = task.blocks[position / kv_block_tokens];
  return base + block * int64_t(kv_block_bytes(task.layout)) + task.kv_head * kv_tile_bytes(task.layout);
}

double score(const AttentionTask& task, const float* q, int64_t position) {
  const std::byte* tile = tile_of(task, task.k, position);
  const int64_t slot = position % kv_block_tokens, n = task.layout.head_dim;
  double sum = 0;
  for (int64_t d = 0; d < n; ++d)
    sum += q[d] * read_tile(task.layout, tile, slot, key_index(task.layout.type, slot, d, n), 128);
  return sum * task.scale * log2_e;
}

void add_value(const AttentionTask& task, int64_t position, double weight, double* sum) {
  const std::byte* tile = tile_of(task, task.v, position);
  const int64_t slot = position % kv_block_tokens, n = task.layout.head_dim;
  for (int64_t d = 0; d < n; ++d)
    sum[d] += weight * read_tile(task.layout, tile, slot, value_index(task.layout.type, slot, d, n), 0);
}

// partial: [head_dim] weighted sum of values, the largest score (log2 units), the sum of the weights.
void one_row(const AttentionTask& task, const float* q, int64_t begin, int64_t end, float* partial) {
  double largest = lowest_score, weights = 0, sum[max_head_dim] = {};
  for (int64_t t = begin; t < end; ++t) largest = std::fmax(largest, score(task, q, t));
  for (int64_t t = begin; t < end; ++t) {
    const double weight = std::exp2(score(task, q, t) - largest);
    weights += weight;
    add_value(task, t, weight, sum);
  }
  for (int64_t d = 0; d < task.layout.head_dim; ++d) partial[d] = float(sum[d]);
  partial[task.layout.head_dim] = float(largest);
  partial[task.layout.head_dim + 1] = float(weights);
}

void normalise(const float* partial, int64_t n, float* out) {
  for (int64_t d = 0; d < n; ++d) out[d] = partial[d] / partial[n + 1];
}

void attention(const AttentionTask& task, std::byte*) {
  const int64_t n = task.layout.head_dim;
  for (int64_t row = 0; row < task.queries; ++row) {
    const int64_t position = task.first_position + row;
    int64_t begin = window_begin(position, task.window), end = position + 1;
    if (task.kv_end > 0) {
      begin = begin > task.kv_begin ? begin : task.kv_begin;
      end = end < task.kv_end ? end : task.kv_end;
    }
    for (int64_t head = 0; head < task.heads_per_kv; ++head) {
      const float* q = task.q + row * task.q_stride + head * n;
      float whole[max_head_dim + 2];
      float* partial = task.partial ? task.partial + (row * task.heads_per_kv + head) * (n + 2) : whole;
      one_row(task, q, begin, end, partial);
      if (!task.partial) normalise(partial, n, task.out + row * task.out_stride + head * n);
    }
  }
}

void merge(const AttentionTask& task, const float* partial, int64_t partial_stride, int64_t splits) {
  const int64_t n = task.layout.head_dim;
  for (int64_t row = 0; row < task.queries; ++row)
    for (int64_t head = 0; head < task.heads_per_kv; ++head) {
      const float* first = partial + (row * task.heads_per_kv + head) * (n + 2);
      float largest = lowest_score, merged[max_head_dim + 2] = {};
      for (int64_t i = 0; i < splits; ++i) largest = std::fmax(largest, first[i * partial_stride + n]);
      for (int64_t i = 0; i < splits; ++i) {
        const float* part = first + i * partial_stride;
        const float weight = std::exp2(part[n] - largest);
        for (int64_t d = 0; d < n; ++d) merged[d] += weight * part[d];
        merged[n + 1] += weight * part[n + 1];
      }
      normalise(merged, n, task.out + row * task.out_stride + head * n);
    }
}

void encoder_attention(const EncoderAttentionTask& task, std::byte*) {
  for (int64_t row = 0; row < task.tokens; ++row) {
    double largest = lowest_score, weights = 0, sum[max_head_dim] = {};
    const auto score_of = [&](int64_t t) {
      double s = 0;
      for (int64_t d = 0; d < task.head_dim; ++d)
        s += double(task.q[row * task.stride + d]) * task.k[t * task.stride + d];
      return s * task.scale;
    };
    for (int64_t t = 0; t < task.tokens; ++t) largest = std::fmax(largest, score_of(t));
    for (int64_t t = 0; t < task.tokens; ++t) {
      const double weight = std::exp(score_of(t) - largest);
      weights += weight;
      for (int64_t d = 0; d < task.head_dim; ++d) sum[d] += weight * task.v[t * task.stride + d];
    }
    for (int64_t d = 0; d < task.head_dim; ++d) task.out[row * task.out_stride + d] = float(sum[d] / weights);
  }
}

constexpr AttentionKernels kernels = {Isa::reference, kv_write, attention, merge, encoder_attention, 16, 64};

}  // namespace

const AttentionKernels* attention_reference() { return &kernels; }

}  // namespace sillar::kernels
