// What the processor can do at most with these instructions: independent chains in registers, and reading memory.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"

namespace sillar::kernels {
namespace {

constexpr int chains = 16;

template <class Vector, class Step>
int64_t run(int64_t rounds, Vector start, const Step& step) {
  Vector acc[chains];
  unroll<chains>([&](auto c) { acc[c.value] = start; });
  for (int64_t i = 0; i < rounds; ++i)
    unroll<chains>([&](auto c) {
      acc[c.value] = step(acc[c.value]);
      asm volatile("" : "+v"(acc[c.value]));  // so that the compiler keeps every round
    });
  return rounds * chains;
}

int64_t read_all(const std::byte* data, int64_t bytes) {
  __m512i sum[8];
  unroll<8>([&](auto i) { sum[i.value] = _mm512_setzero_si512(); });
  const auto* p = reinterpret_cast<const uint8_t*>(data);
  for (int64_t at = 0; at + 512 <= bytes; at += 512)
    unroll<8>([&](auto i) {
      _mm_prefetch(reinterpret_cast<const char*>(p + at + 4096 + 64 * i.value), _MM_HINT_T0);
      sum[i.value] = _mm512_xor_si512(sum[i.value], load512(p + at + 64 * i.value));
    });
  unroll<8>([&](auto i) { asm volatile("" : : "v"(sum[i.value])); });
  return bytes / 512 * 512;
}

}  // namespace

int64_t probe_avx512(Probe what, int64_t amount, const std::byte* memory) {
  if (what == Probe::read) return read_all(memory, amount);
  if (what == Probe::int8) {
    const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
    return run(amount, _mm512_setzero_si512(), [&](__m512i v) { return _mm512_dpbusd_epi32(v, a, b); }) * 128;
  }
  const __m512 one = _mm512_set1_ps(1), small = _mm512_set1_ps(1e-8f);
  return run(amount, one, [&](__m512 v) { return _mm512_fmadd_ps(v, one, small); }) * 32;
}

}  // namespace sillar::kernels
