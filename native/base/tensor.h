// Element types as GGUF numbers them, and a non-owning two-dimensional view of weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sillar {

// The numbers are GGUF's `ggml_type`.
enum class WeightType : uint32_t {
  f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q5_0 = 6, q5_1 = 7, q8_0 = 8,
  q2_k = 10, q3_k = 11, q4_k = 12, q5_k = 13, q6_k = 14, bf16 = 30,
  q8_128 = 0x10000,  // in no file: what other types are packed to where computing counts, not memory (kernels.h)
};

struct WeightTypeInfo {
  const char* name;
  int64_t block;        // elements a block
  int64_t block_bytes;  // bytes a block
};

// Null for a number that is not one of ours.
const WeightTypeInfo* weight_type_info(uint32_t type);

// A row-major matrix as it lies in the file: `rows` output features of `cols` inputs each.
struct WeightView {
  WeightType type = WeightType::f32;
  int64_t rows = 0;
  int64_t cols = 0;  // a multiple of the type's block
  const std::byte* data = nullptr;
};

}  // namespace sillar
