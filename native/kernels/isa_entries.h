// The one symbol that each file of an instruction set exports: its table. Only table.cc includes this.
#pragma once

#include "kernels/kernels.h"
#include "kernels/probe.h"

namespace sillar::kernels {

const MatmulKernels* matmul_reference();
const MatmulKernels* matmul_avx2();
const MatmulKernels* matmul_avx512();
const MatmulKernels* matmul_amx();

const AttentionKernels* attention_reference();
const AttentionKernels* attention_avx2();
const AttentionKernels* attention_avx512();
const AttentionKernels* attention_avx512_bf16();

const VectorKernels* vector_reference();
const VectorKernels* vector_avx2();
const VectorKernels* vector_avx512();

const ProbeKernels* probe_avx2();
const ProbeKernels* probe_avx512();

}  // namespace sillar::kernels
