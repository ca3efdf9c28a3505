// AVX2 limits: chains of vpmaddubsw + vpmaddwd + vpaddd (three instructions for 32 products, the best
// that AVX2 has for bytes) or of vfmadd231ps on ymm registers, and 32-byte loads into eight sums.
#include <immintrin.h>

#include "kernels/isa_entries.h"
#include "kernels/probe.h"

namespace sillar::kernels {
namespace {

constexpr int byte_chains = 6;
constexpr int float_chains = 12;

// In assembly because compilers keep an array of sums in memory, which would measure something else.
void int8_loop(int64_t rounds) {
  asm volatile(
      ".irp n,0,1,2,3,4,5\n vpxor %%ymm\\n, %%ymm\\n, %%ymm\\n\n.endr\n"
      "1:\n"
      ".irp n,6,7,8,9,10,11\n vpmaddubsw %2, %1, %%ymm\\n\n.endr\n"
      ".irp n,6,7,8,9,10,11\n vpmaddwd %3, %%ymm\\n, %%ymm\\n\n.endr\n"
      "vpaddd %%ymm6, %%ymm0, %%ymm0\nvpaddd %%ymm7, %%ymm1, %%ymm1\nvpaddd %%ymm8, %%ymm2, %%ymm2\n"
      "vpaddd %%ymm9, %%ymm3, %%ymm3\nvpaddd %%ymm10, %%ymm4, %%ymm4\nvpaddd %%ymm11, %%ymm5, %%ymm5\n"
      "dec %0\njnz 1b\n"
      : "+r"(rounds)
      : "x"(_mm256_set1_epi8(3)), "x"(_mm256_set1_epi8(-5)), "x"(_mm256_set1_epi16(1))
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11");
}

void fp32_loop(int64_t rounds) {
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11\n vpxor %%ymm\\n, %%ymm\\n, %%ymm\\n\n.endr\n"
      "1:\n"
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11\n vfmadd231ps %2, %1, %%ymm\\n\n.endr\n"
      "dec %0\njnz 1b\n"
      : "+r"(rounds)
      : "x"(_mm256_set1_ps(0.5f)), "x"(_mm256_set1_ps(0.25f))
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11");
}

uint64_t read_loop(const std::byte* data, size_t bytes) {
  __m256i sum[8];
  for (auto& s : sum) s = _mm256_setzero_si256();
  for (size_t i = 0; i < bytes; i += 256) {
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) {
      const auto* at = reinterpret_cast<const __m256i*>(data + i + 32 * c);
      sum[c] = _mm256_add_epi64(sum[c], _mm256_loadu_si256(at));
    }
  }
  for (int c = 1; c < 8; ++c) sum[0] = _mm256_add_epi64(sum[0], sum[c]);
  return _mm256_extract_epi64(sum[0], 0) + _mm256_extract_epi64(sum[0], 1) +
         _mm256_extract_epi64(sum[0], 2) + _mm256_extract_epi64(sum[0], 3);
}

constexpr ProbeKernels kernels = {
    Isa::avx2, {int8_loop, byte_chains * 32 * 2.0}, {}, {fp32_loop, float_chains * 8 * 2.0}, read_loop,
};

}  // namespace

const ProbeKernels* probe_avx2() { return &kernels; }

}  // namespace sillar::kernels
