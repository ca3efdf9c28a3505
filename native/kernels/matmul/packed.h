// The packed layout of weights, one for all ISAs: a packed block holds the same block (32, 128 or 256
// columns) of 16 consecutive rows, and the blocks of these 16 rows lie one after the other.
//
//   q4_0, q4_1: a row's unit as fp32 [16 rows], then blocks of 64 columns; an odd last group is filled up with zeros
//   for each group of 32 columns:                             q4_0, q4_1 = 2 groups, q8_128 = 4, q_k = 8
//     low plane    8 bit: 8 x 64 bytes; 4 bit: 4 x 64; 2 bit: 2 x 64
//     high plane   2 bit: 2 x 64 bytes; 1 bit: 64; or none
//   d      fp16 [16 rows];  then m fp16 [16 rows] where the type has a min;  q4_0, q4_1: neither
//   scales s8 or u8 [pair][16 rows][2], mins u8 likewise (q_k; q2_k: one byte, scale low, min high nibble):
//          two neighbours side by side, for widened they are an operand of vpdpwssd with the activations' sums;
//          q4_0, q4_1: s16 likewise
//
//   q8_128 ends on a whole cache line: it is read in place
//
// 64 bytes of a plane are [16 rows][4 columns]: with the other fields shifted out, the operand of one
// vpdpbusd, whose 4 columns we call a quad. Quad q of a group (0..7) lies at
//   8 bit: vector q            4 bit: vector q % 4, nibble q / 4
//   2 bit: vector q / 4, bits 2 * (q % 4)                 1 bit: bit q
// q4_0 and q4_1: 8 planes of 64 bytes for both groups, [8 rows][2 groups][4 columns]; quad q of rows 0, 1, 4, 5, 8, 9, 12
// and 13 is vector q % 4, nibble q / 4, that of the others four vectors on: vpackssdw brings the dot products of both
// into the order [16 rows][2 groups].
// Float weights lie as [column][16 rows] in their own type.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/tensor.h"

namespace sillar::kernels {

constexpr int64_t tile_rows = 16;
constexpr int64_t group_cols = 32;
constexpr int64_t group_quads = 8;

// `static constexpr` everywhere here: files of different instruction sets must not share one emitted copy.
struct PackedFormat {
  int block_cols;    // 32, 64, 128, 256; 1: a float type
  int low_bits;
  int high_bits;
  int scale_groups;  // scales in a group of 32 columns: 1 or 2
  bool has_min;
  int zero_point;
  int scale_bytes;   // bytes of integer scales and mins a group and row: 0 to 4
};

static constexpr PackedFormat packed_format(WeightType type) {
  switch (type) {
    case WeightType::q4_0: return {64, 4, 0, 1, false, 8, 2};
    case WeightType::q4_1: return {64, 4, 0, 1, true, 8, 4};
    case WeightType::q5_0: return {32, 4, 1, 1, false, 16, 0};
    case WeightType::q5_1: return {32, 4, 1, 1, true, 0, 0};
    case WeightType::q8_0: return {32, 8, 0, 1, false, 128, 0};
    case WeightType::q8_128: return {128, 8, 0, 1, false, 128, 0};
    case WeightType::q2_k: return {256, 2, 0, 2, true, 0, 2};
    case WeightType::q3_k: return {256, 2, 1, 2, false, 4, 2};
    case WeightType::q4_k: return {256, 4, 0, 1, true, 0, 2};
    case WeightType::q5_k: return {256, 4, 1, 1, true, 0, 2};
    case WeightType::q6_k: return {256, 4, 2, 2, false, 32, 2};
    default: return {1, 0, 0, 0, false, 0, 0};
  }
}

static constexpr bool is_float(WeightType type) { return packed_format(type).block_cols == 1; }
static constexpr int64_t float_bytes(WeightType type) { return type == WeightType::f32 ? 4 : 2; }

static constexpr bool is_k_quant(WeightType type) { return packed_format(type).block_cols == 256; }
// Whose integer scales have a unit of the whole row.
static constexpr bool is_row_scaled(PackedFormat f) { return f.block_cols == 64; }
static constexpr bool is_row_scaled(WeightType type) { return is_row_scaled(packed_format(type)); }

// Bytes of one group's planes, and where its high plane begins.
static constexpr int64_t low_plane_bytes(PackedFormat f) { return f.low_bits * 64; }
static constexpr int64_t group_bytes(PackedFormat f) { return (f.low_bits + f.high_bits) * 64; }
static constexpr int64_t block_groups(PackedFormat f) { return f.block_cols / group_cols; }

// Integer scales of a block and row.
static constexpr int block_scale_count(PackedFormat f) { return int(block_groups(f)) * f.scale_groups; }
// Where scale `i` of row `row` lies among a block's scales (and min `i` among its mins).
static constexpr int64_t paired_at(int64_t i, int64_t row) { return i / 2 * 2 * tile_rows + row * 2 + i % 2; }

// Offsets inside a packed block.
static constexpr int64_t d_offset(PackedFormat f) { return block_groups(f) * group_bytes(f); }
static constexpr int64_t m_offset(PackedFormat f) { return d_offset(f) + 32; }
static constexpr int64_t scale_offset(PackedFormat f) {
  return d_offset(f) + (is_row_scaled(f) ? 0 : f.has_min ? 64 : 32);
}
static constexpr int64_t min_offset(PackedFormat f) {
  return scale_offset(f) + block_groups(f) * tile_rows * (is_row_scaled(f) ? 2 : 1);
}
static constexpr int64_t packed_block_bytes(PackedFormat f) {
  const int64_t bytes = scale_offset(f) + block_groups(f) * f.scale_bytes * tile_rows;
  return f.block_cols == 128 ? (bytes + 63) / 64 * 64 : bytes;
}

// Bytes before the blocks of 16 packed rows, and of all of them.
static constexpr int64_t unit_bytes(PackedFormat f) { return is_row_scaled(f) ? 4 * tile_rows : 0; }
static constexpr int64_t packed_tile_bytes(WeightType type, int64_t cols) {
  const PackedFormat f = packed_format(type);
  if (f.block_cols == 1) return cols * tile_rows * float_bytes(type);
  return unit_bytes(f) + (cols + f.block_cols - 1) / f.block_cols * packed_block_bytes(f);
}

// Where activations are quantised for row-scaled weights.
constexpr int64_t share_groups = 8;  // of a block: 256 columns
constexpr int64_t share_sum_factor = 8;
constexpr int32_t row_scaled_zero_point = packed_format(WeightType::q4_0).zero_point;
static_assert(row_scaled_zero_point == packed_format(WeightType::q4_1).zero_point);
constexpr float share_one = 32768;
constexpr float share_most = 32767;
static constexpr int64_t share_stride(int64_t groups) { return (groups + 1) / 2 * 2; }
// An odd number of cache lines: a power of two would put all tokens' values into a few sets of the caches.
static constexpr int64_t pair_stride(int64_t groups) { return (groups + 1) / 2 * 64 | 64; }
// Where value `column` of 64 lies in Activations::pairs; in the packed block of 64 columns, the byte (of two nibbles).
static constexpr int64_t paired_value_at(int64_t column) {
  return column % group_cols / 4 * 8 + column / group_cols * 4 + column % 4;
}
static constexpr int64_t row_scaled_byte_at(int64_t row, int64_t column) {
  const int64_t plane = row % 4 / 2 * 4 + column % group_cols / 4 % 4;
  return plane * 64 + (row / 4 * 2 + row % 2) * 8 + column / group_cols * 4 + column % 4;
}
static constexpr int64_t block_stride(int64_t groups) { return (groups + share_groups - 1) / share_groups; }

}  // namespace sillar::kernels
