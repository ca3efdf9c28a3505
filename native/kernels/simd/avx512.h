// sixteen fp32 lanes (AVX-512 F, BW, DQ, VL): the few operations that the kernel templates are written in.
// Anonymous on purpose: each file of an instruction set gets its own copy.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define SILLAR_INLINE static inline __attribute__((always_inline))

namespace sillar::kernels {
namespace {

struct Simd {
  using F = __m512;
  using I = __m512i;
  static constexpr int lanes = 16;
  static constexpr int tile_rows = 6, tile_columns = 4;  // 24 accumulators, 4 loads and a broadcast: 29 of 32

  SILLAR_INLINE F zero() { return _mm512_setzero_ps(); }
  SILLAR_INLINE F set(float x) { return _mm512_set1_ps(x); }
  SILLAR_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  SILLAR_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  // The first n lanes, 0 < n < lanes; the others are zero, or not written.
  SILLAR_INLINE F load_part(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  SILLAR_INLINE void store_part(float* p, F x, int64_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
  SILLAR_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  SILLAR_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  SILLAR_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  SILLAR_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  SILLAR_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  SILLAR_INLINE F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
  SILLAR_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }  // b where one is NaN
  SILLAR_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  SILLAR_INLINE F abs(F a) { return _mm512_abs_ps(a); }
  SILLAR_INLINE F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  SILLAR_INLINE float first_lane(F a) { return _mm512_cvtss_f32(a); }
  SILLAR_INLINE float reduce_add(F a) { return _mm512_reduce_add_ps(a); }
  SILLAR_INLINE float reduce_max(F a) { return _mm512_reduce_max_ps(a); }
  // x * 2^n, n an integer; zero once the exponent is below the smallest.
  SILLAR_INLINE F scale_by_power(F x, F n) { return _mm512_scalef_ps(x, n); }
  static constexpr float smallest_power = -200;
  // a in lanes [begin, end), b elsewhere.
  SILLAR_INLINE F within(F a, F b, int64_t begin, int64_t end) {
    return _mm512_mask_mov_ps(b, __mmask16(below(end) & ~below(begin)), a);
  }
  SILLAR_INLINE F nan_to_zero(F a) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a); }
  SILLAR_INLINE F copy_sign(F magnitude, F sign) {
    const I bit = _mm512_set1_epi32(int(0x80000000u));
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(magnitude), 0xca));
  }
  // Whether any lane of a is above b.
  SILLAR_INLINE bool any_above(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
  // Lanes 0, 2, 4... and 1, 3, 5... of the 2 x lanes floats at p; and the way back.
  SILLAR_INLINE void load_pairs(const float* p, F& even, F& odd) {
    const I e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const F a = load(p), b = load(p + 16);
    even = _mm512_permutex2var_ps(a, e, b);
    odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(e, _mm512_set1_epi32(1)), b);
  }
  SILLAR_INLINE void store_pairs(float* p, F even, F odd) {
    const I low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    store(p, _mm512_permutex2var_ps(even, low, odd));
    store(p + 16, _mm512_permutex2var_ps(even, _mm512_add_epi32(low, _mm512_set1_epi32(8)), odd));
  }
  SILLAR_INLINE F load_f16(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
  SILLAR_INLINE void store_f16(uint16_t* p, F x) {
    _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  SILLAR_INLINE void store_bf16(uint16_t* p, F x) {  // of finite x
    const I bits = _mm512_castps_si512(x);
    const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const I rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }
  // 32-bit lanes at p, and fields of them as floats.
  SILLAR_INLINE I load_bits(const void* p) { return _mm512_loadu_si512(p); }
  SILLAR_INLINE F bf16_low(I x) { return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16)); }
  SILLAR_INLINE F bf16_high(I x) { return _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(int(0xffff0000u)))); }
  template <int byte>
  SILLAR_INLINE F signed_byte(I x) {
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(x, 24 - 8 * byte), 24));
  }
  SILLAR_INLINE I flip_byte_signs(I x) { return _mm512_xor_si512(x, _mm512_set1_epi32(int(0x80808080u))); }

 private:
  SILLAR_INLINE __mmask16 first(int64_t n) { return __mmask16((1u << n) - 1); }
  SILLAR_INLINE uint32_t below(int64_t n) { return n <= 0 ? 0u : n >= 16 ? 0xffffu : (1u << n) - 1; }
};

}  // namespace
}  // namespace sillar::kernels
