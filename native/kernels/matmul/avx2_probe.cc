// What the processor can do at most with these instructions: independent chains in registers, and reading memory.
#include "kernels/matmul/avx2_parts.h"
#include "kernels/matmul/avx2_unpack.h"

namespace sillar::kernels {
namespace {

constexpr int chains = 12;

template <class Vector, class Step>
int64_t run(int64_t rounds, Vector start, const Step& step) {
  Vector acc[chains];
  unroll<chains>([&](auto c) { acc[c.value] = start; });
  for (int64_t i = 0; i < rounds; ++i)
    unroll<chains>([&](auto c) {
      acc[c.value] = step(acc[c.value]);
      asm volatile("" : "+x"(acc[c.value]));  // so that the compiler keeps every round
    });
  return rounds * chains;
}

int64_t read_all(const std::byte* data, int64_t bytes) {
  __m256i sum[8];
  unroll<8>([&](auto i) { sum[i.value] = _mm256_setzero_si256(); });
  const auto* p = reinterpret_cast<const uint8_t*>(data);
  for (int64_t at = 0; at + 256 <= bytes; at += 256)
    unroll<8>([&](auto i) {
      _mm_prefetch(reinterpret_cast<const char*>(p + at + 4096 + 32 * i.value), _MM_HINT_T0);
      sum[i.value] = _mm256_xor_si256(sum[i.value], load256(p + at + 32 * i.value));
    });
  unroll<8>([&](auto i) { asm volatile("" : : "x"(sum[i.value])); });
  return bytes / 256 * 256;
}

}  // namespace

int64_t probe_avx2(Probe what, int64_t amount, const std::byte* memory) {
  if (what == Probe::read) return read_all(memory, amount);
  if (what == Probe::int8) {
    const __m256i a = _mm256_set1_epi8(3);
    return run(amount, a, [&](__m256i v) { return _mm256_maddubs_epi16(v, a); }) * 64;
  }
  const __m256 one = _mm256_set1_ps(1), small = _mm256_set1_ps(1e-8f);
  return run(amount, one, [&](__m256 v) { return _mm256_fmadd_ps(v, one, small); }) * 16;
}

}  // namespace sillar::kernels
