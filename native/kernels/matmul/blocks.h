// The quantised blocks of GGUF files, each type brought to one plain form. The bit layouts follow the
// GGML reference of these types (k-quants: super-blocks of 256 with 6-bit or 4-bit scales).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/tensor.h"

namespace sillar::kernels {

// weight(i) = d * scale(i / g) * (values[i] - zero_point) [ - m * min(i / g), or + m where mins are whole ]
struct PlainBlock {
  uint8_t values[256];
  uint16_t d;          // fp16
  uint16_t m;          // fp16: q4_1, q5_1: the min itself; q2_k, q4_k, q5_k: the scale of mins
  int8_t scales[16];   // k-quants only: a group of 32 or 16 each
  uint8_t mins[16];
};

// Decodes one block of `type` (a quantised one) at `src`.
void decode_block(WeightType type, const std::byte* src, PlainBlock& out);

// out[cols] of a row in the file's order; any type.
void dequantize_row(const WeightView& src, int64_t row, float* out);

}  // namespace sillar::kernels
