// The slow and obvious matmul: the oracle of the other ISAs, bit for bit. Reads the packed layout one
// weight at a time.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "kernels/isa_entries.h"
#include "kernels/matmul/blocks.h"
#include "kernels/matmul/packed.h"
#include "kernels/matmul/tokens.h"

namespace sillar::kernels {
namespace {

int plane_value(int bits, const uint8_t* plane, int q, int64_t row, int c) {
  const int per_byte = 8 / bits;
  const int vector = bits == 4 ? q % 4 : q / per_byte;
  const int field = bits == 4 ? q / 4 : q % per_byte;
  return plane[vector * 64 + row * 4 + c] >> (field * bits) & ((1 << bits) - 1);
}

uint16_t load_u16(const uint8_t* p) { return uint16_t(p[0] | p[1] << 8); }

// Integer dot product of columns [begin, end) of a group of 32, the zero point taken off.
int32_t group_dot(const PackedFormat& f, const uint8_t* planes, int64_t row, const int8_t* values, int begin, int end) {
  int32_t dot = 0;
  for (int i = begin; i < end; ++i) {
    int w = plane_value(f.low_bits, planes, i / 4, row, i % 4);
    if (f.high_bits) w |= plane_value(f.high_bits, planes + low_plane_bytes(f), i / 4, row, i % 4) << f.low_bits;
    dot += (w - f.zero_point) * values[i];
  }
  return dot;
}

// acc plus one block whose columns share a scale.
float add_block(const PackedFormat& f, const uint8_t* block, int64_t row, const Tokens& x, float acc) {
  const float d = f16_to_f32(load_u16(block + d_offset(f) + 2 * row));
  int32_t dot = 0;
  for (int64_t g = 0; g < block_groups(f); ++g)
    dot += group_dot(f, block + g * group_bytes(f), row, x.values + g * group_cols, 0, group_cols);
  float t = float(dot) * d;
  if (f.has_min) t = std::fmaf(float(*x.group_sums), f16_to_f32(load_u16(block + m_offset(f) + 2 * row)), t);
  return std::fmaf(t, *x.scales, acc);
}

// acc plus one block of 256 columns.
float add_k_block(const PackedFormat& f, const uint8_t* block, int64_t row, const Tokens& x, float acc) {
  int32_t dots = 0, mins = 0;
  const int cols = group_cols / f.scale_groups;  // that share a scale
  for (int i = 0; i < block_scale_count(f); ++i) {
    const int64_t group = i / f.scale_groups, from = i % f.scale_groups * cols;
    const uint8_t scale = block[scale_offset(f) + paired_at(i, row)];
    const int8_t* values = x.values + group * group_cols;
    const int32_t dot = group_dot(f, block + group * group_bytes(f), row, values, int(from), int(from) + cols);
    const bool shared_byte = f.has_min && f.scale_groups == 2;
    dots += dot * (shared_byte ? scale & 15 : int8_t(scale));
    if (!f.has_min) continue;
    if (shared_byte) mins += x.sums[i] * (scale >> 4);
    else mins += x.group_sums[i] * block[min_offset(f) + paired_at(i, row)];
  }
  float t = float(dots) * f16_to_f32(load_u16(block + d_offset(f) + 2 * row));
  if (f.has_min) t = std::fmaf(float(mins), -f16_to_f32(load_u16(block + m_offset(f) + 2 * row)), t);
  return std::fmaf(t, *x.scales, acc);
}

int16_t load_s16(const uint8_t* p) { return int16_t(load_u16(p)); }

int32_t times_share(int32_t value, int16_t share) { return (value * share + (1 << 14)) >> 15; }

// One output of a matrix whose integer scales have a unit of the row.
float dot_row_scaled(const PackedFormat& f, const uint8_t* tile, int64_t row, const Activations& x, int64_t token) {
  const int64_t groups = x.cols / group_cols;
  float acc = 0, unit;
  std::memcpy(&unit, tile + 4 * row, 4);
  for (int64_t begin = 0; begin < groups; begin += share_groups) {
    const Tokens at = tokens_at(x, token, begin);
    int32_t total = 0;
    for (int64_t g = 0; g < std::min(share_groups, groups - begin); ++g) {
      const uint8_t* block = tile + unit_bytes(f) + (begin + g) / 2 * packed_block_bytes(f);
      const int64_t scale_at = 2 * paired_at(g % 2, row);
      int32_t dot = at.starts[g];
      for (int64_t i = 0; i < group_cols; ++i) {
        const int weight = block[row_scaled_byte_at(row, g % 2 * group_cols + i)] >> i / 16 * 4 & 15;
        dot += weight * at.pairs[g / 2 * 2 * group_cols + paired_value_at(g % 2 * group_cols + i)];
      }
      total += load_s16(block + scale_offset(f) + scale_at) * times_share(dot, at.shares[g]);
      if (f.has_min) total += load_s16(block + min_offset(f) + scale_at) * at.sum_shares[g];
    }
    acc = std::fmaf(float(total), *at.block_scales, acc);
  }
  return acc * unit;
}

// One output of a quantised matrix.
float dot_quantized(const PackedFormat& f, const uint8_t* tile, int64_t row, const Activations& x, int64_t token) {
  if (is_row_scaled(f)) return dot_row_scaled(f, tile, row, x, token);
  float acc = 0;
  for (int64_t b = 0; b < x.cols / f.block_cols; ++b, tile += packed_block_bytes(f)) {
    const Tokens at = tokens_at(x, token, b * block_groups(f));
    acc = f.scale_bytes == 0 ? add_block(f, tile, row, at, acc) : add_k_block(f, tile, row, at, acc);
  }
  return acc;
}

float load_float(WeightType type, const uint8_t* tile, int64_t index) {
  if (type == WeightType::f32) {
    const uint8_t* p = tile + 4 * index;
    return float_from_bits(uint32_t(load_u16(p)) | uint32_t(load_u16(p + 2)) << 16);
  }
  const uint16_t half = load_u16(tile + 2 * index);
  return type == WeightType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
}

float dot_float(WeightType type, const uint8_t* tile, int64_t row, const Activations& x, int64_t token) {
  float acc = 0;
  for (int64_t c = 0; c < x.cols; ++c)
    acc = std::fmaf(load_float(type, tile, c * tile_rows + row), x.f32[token * x.cols + c], acc);
  return acc;
}

void matmul(const MatmulTask& task, std::byte*) {
  const PackedMatrix& w = *task.weights;
  const PackedFormat f = packed_format(w.type);
  for (int64_t row = task.row_begin; row < task.row_end; ++row) {
    const auto* tile =
        reinterpret_cast<const uint8_t*>(w.data) + row / tile_rows * packed_tile_bytes(w.type, w.cols);
    for (int64_t token = task.token_begin; token < task.token_end; ++token) {
      float value = is_float(w.type) ? dot_float(w.type, tile, row % tile_rows, *task.x, token)
                                     : dot_quantized(f, tile, row % tile_rows, *task.x, token);
      if (task.bias) value += task.bias[row];
      float& out = task.out[token * task.out_stride + row];
      out = task.add_to_out ? out + value : value;
    }
  }
}

// One group's values and their sums, with the scale that makes 127 of `largest`; a group without a magnitude
// worth a scale (or with NaN) becomes zero.
void quantize_group(const float* x, float largest, int64_t token, int64_t group, const Activations& out) {
  const int64_t at = token * (out.cols / group_cols) + group;
  const bool usable = largest > 1e-30f;
  const float inverse = usable ? 127.0f / largest : 0;
  int8_t* values = out.values + token * out.value_stride() + group * group_cols;
  int sums[2] = {0, 0};
  for (int64_t i = 0; i < group_cols; ++i) {
    const float scaled = x[i] * inverse;
    const float clamped = scaled >= -127 ? (scaled <= 127 ? scaled : 127) : -127;  // NaN: -127
    values[i] = int8_t(std::nearbyintf(clamped));
    sums[i / 16] += values[i];
  }
  out.scales[at] = usable ? largest / 127.0f : 0;
  out.sums[2 * at] = int16_t(sums[0]);
  out.sums[2 * at + 1] = int16_t(sums[1]);
  out.group_sums[at] = int16_t(sums[0] + sums[1]);
  out.group_sums_f32[at] = float(sums[0] + sums[1]);
}

// The shares of the `count` groups of a block from `group` on; an odd one is filled up with zero.
void find_shares(int64_t token, int64_t group, int64_t count, const Activations& out) {
  const int64_t groups = out.cols / group_cols;
  const float* scales = out.scales + token * groups + group;
  const float largest = *std::max_element(scales, scales + count);
  const float inverse = largest > 0 ? share_most / largest : 0;
  const int64_t at = token * share_stride(groups) + group;
  for (int64_t g = 0; g < share_stride(count); ++g) {
    const float share = g < count ? scales[g] * inverse : 0;  // NaN beside an infinite one: 0
    out.shares[at + g] = share > 0 ? int16_t(std::fmin(std::nearbyintf(share), share_most)) : int16_t(0);
    const int32_t sum = g < count ? out.group_sums[token * groups + group + g] : 0;
    for (int64_t i = 0; i < group_cols; ++i)
      out.pairs[token * pair_stride(groups) + (group + g) / 2 * 2 * group_cols + paired_value_at(g % 2 * group_cols + i)] =
          g < count ? out.values[token * out.value_stride() + (group + g) * group_cols + i] : int8_t(0);
    out.starts[at + g] = -row_scaled_zero_point * sum;
    out.sum_shares[at + g] = int16_t(times_share(int32_t(share_sum_factor) * sum, out.shares[at + g]));
  }
  out.block_scales[token * block_stride(groups) + group / share_groups] = largest * (share_one / share_most);
}

void quantize(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  if (out.f32) std::copy(x + col_begin, x + col_end, out.f32 + token * out.cols + col_begin);
  for (int64_t col = col_begin; col + out.scale_cols <= col_end; col += out.scale_cols) {
    float largest = 0;
    for (int64_t i = col; i < col + out.scale_cols; ++i) largest = std::fmax(largest, std::fabs(x[i]));
    for (int64_t i = col; i < col + out.scale_cols; i += group_cols)
      quantize_group(x + i, largest, token, i / group_cols, out);
  }
  if (!out.shares_wanted) return;
  for (int64_t col = col_begin; col < col_end; col += share_groups * group_cols)
    find_shares(token, col / group_cols, std::min(share_groups, (col_end - col) / group_cols), out);
}

Tiling tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  const int64_t tiles = (weights.rows + tile_rows - 1) / tile_rows;
  return {std::max<int64_t>(1, tiles / (4 * threads)) * tile_rows, tokens};
}

const MatmulKernels table = {Isa::reference, quantize, matmul, dequantize_row, tiling, 64};

}  // namespace

const MatmulKernels* matmul_reference() { return &table; }

}  // namespace sillar::kernels
