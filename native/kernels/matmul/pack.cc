// Packs weights into the layout of packed.h, and lays out the memory of quantised activations.
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/matmul/blocks.h"
#include "kernels/matmul/packed.h"

namespace sillar::kernels {
namespace {

// Adds the 4 values of quad `q` of row `row` to one plane of `bits` bits a value.
void put_quad(int bits, int q, int64_t row, const uint8_t* values, int shift, uint8_t* plane) {
  const int per_byte = 8 / bits;
  // 4 bit: the fields of a byte are 4 quads apart; 2 and 1 bit: neighbours.
  const int vector = bits == 4 ? q % 4 : q / per_byte;
  const int field = bits == 4 ? q / 4 : q % per_byte;
  uint8_t* dst = plane + vector * 64 + row * 4;
  const int mask = (1 << bits) - 1;
  for (int c = 0; c < 4; ++c) dst[c] |= uint8_t((values[c] >> shift & mask) << (field * bits));
}

void put_scales(const PackedFormat& f, const PlainBlock& block, int64_t row, uint8_t* dst) {
  std::memcpy(dst + d_offset(f) + 2 * row, &block.d, 2);
  if (f.has_min) std::memcpy(dst + m_offset(f) + 2 * row, &block.m, 2);
  if (f.scale_bytes == 0) return;
  for (int64_t i = 0; i < block_scale_count(f); ++i) {
    uint8_t& scale = dst[scale_offset(f) + paired_at(i, row)];
    scale = uint8_t(block.scales[i]);
    if (!f.has_min) continue;
    if (f.scale_groups == 2) scale |= uint8_t(block.mins[i] << 4);
    else dst[min_offset(f) + paired_at(i, row)] = block.mins[i];
  }
}

void put_block(const PackedFormat& f, const PlainBlock& block, int64_t row, uint8_t* dst) {
  for (int64_t g = 0; g < block_groups(f); ++g) {
    uint8_t* planes = dst + g * group_bytes(f);
    for (int q = 0; q < group_quads; ++q) {
      const uint8_t* values = block.values + g * group_cols + q * 4;
      put_quad(f.low_bits, q, row, values, 0, planes);
      if (f.high_bits) put_quad(f.high_bits, q, row, values, f.low_bits, planes + low_plane_bytes(f));
    }
  }
  put_scales(f, block, row, dst);
}

void pack_tile(const WeightView& src, int64_t row_begin, int64_t rows, uint8_t* dst) {
  const PackedFormat f = packed_format(src.type);
  const WeightTypeInfo* info = weight_type_info(uint32_t(src.type));
  const int64_t blocks = src.cols / info->block;
  PlainBlock block;
  for (int64_t b = 0; b < blocks; ++b, dst += packed_block_bytes(f)) {
    std::memset(dst, 0, size_t(packed_block_bytes(f)));
    for (int64_t r = 0; r < rows; ++r) {
      decode_block(src.type, src.data + ((row_begin + r) * blocks + b) * info->block_bytes, block);
      put_block(f, block, r, dst);
    }
  }
}

// A row of q4_0 or q4_1 as d * (q - 8) + m.
struct RowScales {
  std::vector<float> d, m;  // of each group
  float unit = 0;           // the finest in which each d has 12 bits and sign and each m / 8 too; NaN if one is not finite
};

void find_row_scales(const PackedFormat& f, const std::vector<PlainBlock>& groups, RowScales& out) {
  constexpr float most = 4095;
  bool finite = true;
  out.unit = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const float d = f16_to_f32(groups[g].d), m = f.has_min ? f16_to_f32(groups[g].m) + float(f.zero_point) * d : 0;
    out.d[g] = d;
    out.m[g] = m;
    finite = finite && std::isfinite(d) && std::isfinite(m);
    out.unit = std::fmax(out.unit, std::fmax(std::fabs(d), std::fabs(m) / float(share_sum_factor)) / most);
  }
  if (!finite) out.unit = std::numeric_limits<float>::quiet_NaN();
}

// Adds group `second` of a block's two, one row of it.
void put_row_scaled(const uint8_t* values, int64_t row, bool second, uint8_t* block) {
  uint8_t* dst = block + row_scaled_byte_at(row, second ? group_cols : 0);
  for (int q = 0; q < 4; ++q)
    for (int c = 0; c < 4; ++c)
      dst[64 * q + c] = uint8_t(values[4 * q + c] | values[4 * q + c + group_cols / 2] << 4);
}

void pack_row_scaled_tile(const WeightView& src, int64_t row_begin, int64_t rows, uint8_t* dst) {
  const PackedFormat f = packed_format(src.type);
  const int64_t file_bytes = weight_type_info(uint32_t(src.type))->block_bytes;
  std::memset(dst, 0, size_t(packed_tile_bytes(src.type, src.cols)));
  const size_t count = size_t(src.cols / group_cols);
  std::vector<PlainBlock> groups(count);
  RowScales scales{std::vector<float>(count), std::vector<float>(count)};
  for (int64_t r = 0; r < rows; ++r) {
    const std::byte* row = src.data + (row_begin + r) * int64_t(count) * file_bytes;
    for (size_t g = 0; g < count; ++g) decode_block(src.type, row + int64_t(g) * file_bytes, groups[g]);
    find_row_scales(f, groups, scales);
    std::memcpy(dst + 4 * r, &scales.unit, 4);
    for (size_t g = 0; g < count; ++g) {
      uint8_t* block = dst + unit_bytes(f) + int64_t(g) / 2 * packed_block_bytes(f);
      put_row_scaled(groups[g].values, r, g % 2 != 0, block);
      const auto put = [&](int64_t offset, float value) {
        const auto integer = int16_t(std::nearbyintf(value / scales.unit));
        std::memcpy(block + offset + 2 * paired_at(int64_t(g) % 2, r), &integer, 2);
      };
      if (!(scales.unit > 0)) continue;
      put(scale_offset(f), scales.d[g]);
      if (f.has_min) put(min_offset(f), scales.m[g] / float(share_sum_factor));
    }
  }
}

constexpr int64_t coarse_cols = packed_format(WeightType::q8_128).block_cols;

// Whether a q8_0 matrix has one scale for each 128 columns.
bool has_coarse_scales(const WeightView& src) {
  const int64_t bytes = weight_type_info(uint32_t(src.type))->block_bytes, same = coarse_cols / group_cols;
  const int64_t blocks = src.rows * src.cols / group_cols;
  for (int64_t i = 0; i < blocks; ++i)
    if (std::memcmp(src.data + i * bytes, src.data + i / same * same * bytes, 2) != 0) return false;
  return true;
}

// 128 columns of such a row as they are.
void take_coarse(const std::byte* src, PlainBlock& out) {
  PlainBlock group;
  for (int64_t g = 0; g < coarse_cols / group_cols; ++g) {
    decode_block(WeightType::q8_0, src + g * weight_type_info(uint32_t(WeightType::q8_0))->block_bytes, group);
    std::memcpy(out.values + g * group_cols, group.values, size_t(group_cols));
  }
  out.d = group.d;
}

// 128 values with a new scale: the largest of them becomes 127.
void quantize_coarse(const float* x, int zero_point, PlainBlock& out) {
  float largest = 0;
  for (int64_t i = 0; i < coarse_cols; ++i) largest = std::fmax(largest, std::fabs(x[i]));
  out.d = f32_to_f16(largest / 127);
  const float d = f16_to_f32(out.d), inverse = d > 0 ? 1 / d : 0;
  for (int64_t i = 0; i < coarse_cols; ++i) {
    const float scaled = std::nearbyintf(x[i] * inverse);
    out.values[i] = uint8_t(zero_point + int(scaled >= -127 ? std::fmin(scaled, 127.0f) : -127));  // NaN: -127
  }
}

// Rows of any block type, with one scale for 128 columns.
void pack_q8_128_tile(const WeightView& src, int64_t row_begin, int64_t rows, uint8_t* dst) {
  constexpr PackedFormat f = packed_format(WeightType::q8_128);
  std::memset(dst, 0, size_t(packed_tile_bytes(WeightType::q8_128, src.cols)));
  std::vector<float> values(size_t(src.cols));
  PlainBlock block{};
  const WeightTypeInfo* info = weight_type_info(uint32_t(src.type));
  for (int64_t r = 0; r < rows; ++r) {
    const std::byte* row = src.data + (row_begin + r) * src.cols / info->block * info->block_bytes;
    if (src.type != WeightType::q8_0) dequantize_row(src, row_begin + r, values.data());
    for (int64_t b = 0; b < src.cols / coarse_cols; ++b) {
      if (src.type == WeightType::q8_0) take_coarse(row + b * coarse_cols / info->block * info->block_bytes, block);
      else quantize_coarse(values.data() + b * coarse_cols, f.zero_point, block);
      put_block(f, block, r, dst + b * packed_block_bytes(f));
    }
  }
}

void pack_float_tile(const WeightView& src, int64_t row_begin, int64_t rows, uint8_t* dst) {
  const int64_t size = float_bytes(src.type);
  std::memset(dst, 0, size_t(src.cols * tile_rows * size));
  for (int64_t r = 0; r < rows; ++r) {
    const std::byte* from = src.data + (row_begin + r) * src.cols * size;
    for (int64_t c = 0; c < src.cols; ++c)
      std::memcpy(dst + (c * tile_rows + r) * size, from + c * size, size_t(size));
  }
}

// Puts one array after the other, each on a cache line; returns the bytes of all.
size_t lay_out(std::byte* memory, int64_t tokens, int64_t cols, bool keep_f32, Activations& out) {
  const int64_t groups = cols / group_cols;
  size_t used = 0;
  const auto take = [&]<class T>(T*& array, int64_t of_a_token) {
    array = reinterpret_cast<T*>(memory == nullptr ? nullptr : memory + used);
    used += (size_t(tokens * of_a_token) * sizeof(T) + 63) / 64 * 64;
  };
  out.tokens = tokens;
  out.cols = cols;
  take(out.values, out.value_stride());
  take(out.scales, groups);
  take(out.sums, 2 * groups);
  take(out.group_sums, groups);
  take(out.group_sums_f32, groups);
  take(out.pairs, pair_stride(groups));
  take(out.starts, share_stride(groups));
  take(out.shares, share_stride(groups));
  take(out.sum_shares, share_stride(groups));
  take(out.block_scales, block_stride(groups));
  if (keep_f32) take(out.f32, cols);
  return used;
}

}  // namespace

size_t packed_bytes(WeightType type, int64_t rows, int64_t cols) {
  return size_t((rows + tile_rows - 1) / tile_rows * packed_tile_bytes(type, cols));
}

WeightType type_for_batches(const WeightView& src) {
  const PackedFormat f = packed_format(src.type);
  if (is_float(src.type) || f.block_cols > 64 || src.cols % coarse_cols != 0) return src.type;
  return src.type != WeightType::q8_0 || has_coarse_scales(src) ? WeightType::q8_128 : src.type;
}

void pack_rows(const WeightView& src, WeightType type, int64_t row_begin, int64_t row_end, std::byte* dst) {
  assert(row_begin % tile_rows == 0 && row_end <= src.rows);
  assert(type == src.type || type == WeightType::q8_128);
  const int64_t tile_bytes = packed_tile_bytes(type, src.cols);
  for (int64_t row = row_begin; row < row_end; row += tile_rows) {
    const int64_t rows = row_end - row < tile_rows ? row_end - row : tile_rows;
    auto* tile = reinterpret_cast<uint8_t*>(dst + row / tile_rows * tile_bytes);
    if (type != src.type) pack_q8_128_tile(src, row, rows, tile);
    else if (is_float(type)) pack_float_tile(src, row, rows, tile);
    else if (is_row_scaled(type)) pack_row_scaled_tile(src, row, rows, tile);
    else pack_tile(src, row, rows, tile);
  }
}

int64_t activation_scale_cols(WeightType type) {
  return is_float(type) || is_row_scaled(type) ? group_cols : packed_format(type).block_cols;
}

bool wants_shares(WeightType type) { return is_row_scaled(type); }

size_t activation_bytes(int64_t tokens, int64_t cols, bool keep_f32) {
  Activations unused;
  return lay_out(nullptr, tokens, cols, keep_f32, unused);
}

Activations bind_activations(std::byte* memory, int64_t tokens, int64_t cols, bool keep_f32) {
  Activations out;
  lay_out(memory, tokens, cols, keep_f32, out);
  return out;
}

}  // namespace sillar::kernels
