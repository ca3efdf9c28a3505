// Vector operations on AVX2: eight lanes a step; vector/rows.h has the operations.
#include "kernels/simd/avx2.h"

#include "kernels/isa_entries.h"
#include "kernels/vector/rows.h"

namespace sillar::kernels {
namespace {

constexpr VectorKernels kernels = table_for(Isa::avx2);

}  // namespace

const VectorKernels* vector_avx2() { return &kernels; }

}  // namespace sillar::kernels
