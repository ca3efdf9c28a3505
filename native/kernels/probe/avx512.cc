// AVX-512 limits: twelve independent chains of vpdpbusd, vdpbf16ps or vfmadd231ps on zmm registers
// (latency 4, two a cycle at most), and 64-byte loads into eight sums. Twelve hide any latency up to 6.
#include <immintrin.h>

#include "kernels/isa_entries.h"
#include "kernels/probe.h"

namespace sillar::kernels {
namespace {

constexpr int chains = 12;

// Zeroes zmm0..zmm11, then runs `instruction a, b, zmmN` over all of them, `rounds` times. In assembly
// because compilers keep such an array of sums in memory, which would measure something else.
#define SILLAR_CHAINS(instruction, rounds, a, b)                                     \
  asm volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11\n vpxord %%zmm\\n, %%zmm\\n, %%zmm\\n\n.endr\n" \
               "1:\n.irp n,0,1,2,3,4,5,6,7,8,9,10,11\n " instruction               \
               " %2, %1, %%zmm\\n\n.endr\ndec %0\njnz 1b\n"                         \
               : "+r"(rounds)                                                        \
               : "v"(a), "v"(b)                                                      \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                 "xmm10", "xmm11")

void int8_loop(int64_t rounds) {
  SILLAR_CHAINS("vpdpbusd", rounds, _mm512_set1_epi8(3), _mm512_set1_epi8(-5));
}

void bf16_loop(int64_t rounds) {
  SILLAR_CHAINS("vdpbf16ps", rounds, _mm512_set1_epi16(0x3f80), _mm512_set1_epi16(0x3f00));
}

void fp32_loop(int64_t rounds) {
  SILLAR_CHAINS("vfmadd231ps", rounds, _mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
}

uint64_t read_loop(const std::byte* data, size_t bytes) {
  __m512i sum[8];
  for (auto& s : sum) s = _mm512_setzero_si512();
  for (size_t i = 0; i < bytes; i += 512) {
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) {
      sum[c] = _mm512_add_epi64(sum[c], _mm512_loadu_si512(data + i + 64 * c));
    }
  }
  for (int c = 1; c < 8; ++c) sum[0] = _mm512_add_epi64(sum[0], sum[c]);
  return _mm512_reduce_add_epi64(sum[0]);
}

constexpr ProbeKernels kernels = {
    Isa::avx512,
    {int8_loop, chains * 64 * 2.0},
    {bf16_loop, chains * 32 * 2.0},
    {fp32_loop, chains * 16 * 2.0},
    read_loop,
};

}  // namespace

const ProbeKernels* probe_avx512() { return &kernels; }

}  // namespace sillar::kernels
