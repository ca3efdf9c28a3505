// The parts of the AVX2 matmul, a file each.
#pragma once

#include "kernels/kernels.h"

namespace sillar::kernels {

void matmul_float_avx2(const MatmulTask& task);  // f32, f16, bf16
constexpr size_t scratch_bytes_avx2 = 192 * 1024;

}  // namespace sillar::kernels
