// The parts of the AVX-512 matmul, a file each; avx512.cc chooses between them.
#pragma once

#include "kernels/kernels.h"

namespace sillar::kernels {

void matmul_stream_avx512(const MatmulTask& task);                       // other quantised types, few tokens
void matmul_panel_avx512(const MatmulTask& task, std::byte* scratch);    // the same, many tokens
void matmul_pairs_avx512(const MatmulTask& task);                        // q4_0 and q4_1
void matmul_bytes_avx512(const MatmulTask& task, std::byte* scratch);    // q8_128, many tokens
void matmul_float_avx512(const MatmulTask& task, std::byte* scratch);    // f32, f16, bf16
// Up to here weights are unpacked anew for each few tokens; a panel pays from there on.
constexpr int64_t stream_tokens_max = 32;
constexpr int64_t pair_stream_tokens_max = 63;  // q4_0 and q4_1 have no panel; from 64 on their tokens may be dealt to threads
constexpr int64_t prefetch_ahead = 8192;  // bytes
constexpr size_t panel_scratch_bytes_avx512 = 256 * 1024;

}  // namespace sillar::kernels
