// Vector operations on AVX-512: sixteen lanes a step; vector/rows.h has the operations.
#include "kernels/simd/avx512.h"

#include "kernels/isa_entries.h"
#include "kernels/vector/rows.h"

namespace sillar::kernels {
namespace {

constexpr VectorKernels kernels = table_for(Isa::avx512);

}  // namespace

const VectorKernels* vector_avx512() { return &kernels; }

}  // namespace sillar::kernels
