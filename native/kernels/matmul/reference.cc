// The slow and obvious matmul: the oracle of the other ISAs, bit for bit. Reads the packed layout one
// weight at a time.
#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "kernels/isa_entries.h"
#include "kernels/matmul/blocks.h"
#include "kernels/matmul/packed.h"

namespace sillar::kernels {
namespace {

int plane_value(int bits, const uint8_t* plane, int q, int64_t row, int c) {
  const int per_byte = 8 / bits;
  const int vector = bits == 4 ? q % 4 : q / per_byte;
  const int field = bits == 4 ? q / 4 : q % per_byte;
  return plane[vector * 64 + row * 4 + c] >> (field * bits) & ((1 << bits) - 1);
}

struct GroupScales {
  float scale[2];
  float min[2];
};

uint16_t load_u16(const uint8_t* p) { return uint16_t(p[0] | p[1] << 8); }

GroupScales group_scales(const PackedFormat& f, const uint8_t* block, int64_t group, int64_t row) {
  const float d = f16_to_f32(load_u16(block + d_offset(f) + 2 * row));
  const float m = f.has_min ? f16_to_f32(load_u16(block + m_offset(f) + 2 * row)) : 0;
  if (!f.scale_bytes) return {{d, 0}, {m, 0}};
  GroupScales out{};
  for (int64_t half = 0; half < f.scale_groups; ++half) {
    const int64_t at = (group * f.scale_groups + half) * tile_rows + row;
    const uint8_t scale = block[scale_offset(f) + at];
    if (f.has_min && f.scale_groups == 2) {
      out.scale[half] = d * float(scale & 15);
      out.min[half] = -m * float(scale >> 4);
    } else {
      out.scale[half] = d * float(int8_t(scale));
      if (f.has_min) out.min[half] = -m * float(block[min_offset(f) + at]);
    }
  }
  return out;
}

// One output of a quantised matrix; x, scales, sums are the token's rows.
float dot_quantized(const PackedFormat& f, const uint8_t* tile, int64_t row, const Activations& x,
                    int64_t token) {
  const int64_t groups = x.cols / group_cols;
  float acc = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const uint8_t* block = tile + g / block_groups(f) * packed_block_bytes(f);
    const uint8_t* planes = block + g % block_groups(f) * group_bytes(f);
    const int8_t* values = x.values + token * x.cols + g * group_cols;
    const int16_t* sums = x.sums + (token * groups + g) * 2;
    int32_t dot[2] = {0, 0};
    for (int q = 0; q < group_quads; ++q)
      for (int c = 0; c < 4; ++c) {
        int w = plane_value(f.low_bits, planes, q, row, c);
        if (f.high_bits)
          w |= plane_value(f.high_bits, planes + low_plane_bytes(f), q, row, c) << f.low_bits;
        dot[q * f.scale_groups / group_quads] += (w - f.zero_point) * values[q * 4 + c];
      }
    const GroupScales s = group_scales(f, block, g % block_groups(f), row);
    float t = float(dot[0]) * s.scale[0];
    if (f.scale_groups == 2) t = std::fmaf(float(dot[1]), s.scale[1], t);
    if (f.has_min && f.scale_groups == 1) t = std::fmaf(float(sums[0] + sums[1]), s.min[0], t);
    if (f.has_min && f.scale_groups == 2)
      for (int half = 0; half < 2; ++half) t = std::fmaf(float(sums[half]), s.min[half], t);
    acc = std::fmaf(t, x.scales[token * groups + g], acc);
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

// The largest magnitude becomes 127; a group without one worth a scale (or with NaN) becomes zero.
void quantize_group(const float* x, int8_t* values, float* scale, int16_t* sums, float* group_sum) {
  float largest = 0;
  for (int64_t i = 0; i < group_cols; ++i) largest = std::fmax(largest, std::fabs(x[i]));
  const bool usable = largest > 1e-30f;
  const float inverse = usable ? 127.0f / largest : 0;
  *scale = usable ? largest / 127.0f : 0;
  for (int64_t half = 0; half < 2; ++half) {
    int sum = 0;
    for (int64_t i = half * 16; i < half * 16 + 16; ++i) {
      const float scaled = x[i] * inverse;
      const float clamped = scaled >= -127 ? (scaled <= 127 ? scaled : 127) : -127;  // NaN: -127
      values[i] = int8_t(std::nearbyintf(clamped));
      sum += values[i];
    }
    sums[half] = int16_t(sum);
  }
  *group_sum = float(sums[0] + sums[1]);
}

void quantize(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out) {
  if (out.f32) std::copy(x + col_begin, x + col_end, out.f32 + token * out.cols + col_begin);
  const int64_t groups = out.cols / group_cols;
  for (int64_t g = col_begin / group_cols; g < col_end / group_cols; ++g) {
    const int64_t at = token * groups + g;
    quantize_group(x + g * group_cols, out.values + token * out.cols + g * group_cols, out.scales + at,
                   out.sums + 2 * at, out.group_sums + at);
  }
}

Tiling tiling(const PackedMatrix& weights, int64_t tokens, int threads) {
  const int64_t tiles = (weights.rows + tile_rows - 1) / tile_rows;
  return {std::max<int64_t>(1, tiles / (4 * threads)) * tile_rows, tokens};
}

const MatmulKernels table = {Isa::reference, quantize, matmul, dequantize_row, tiling, 64};

}  // namespace

const MatmulKernels* matmul_reference() { return &table; }

}  // namespace sillar::kernels
