// The parts of the AVX-512 matmul, a file each; avx512.cc chooses between them.
#pragma once

#include "kernels/kernels.h"

namespace sillar::kernels {

void matmul_stream_avx512(const MatmulTask& task);                       // quantised, few tokens
void matmul_panel_avx512(const MatmulTask& task, std::byte* scratch);    // quantised, many tokens
void matmul_bytes_avx512(const MatmulTask& task, std::byte* scratch);    // q8_128, many tokens
void matmul_float_avx512(const MatmulTask& task, std::byte* scratch);    // f32, f16, bf16
constexpr size_t panel_scratch_bytes_avx512 = 256 * 1024;

}  // namespace sillar::kernels
