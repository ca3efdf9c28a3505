// eight fp32 lanes (AVX2, FMA, F16C): the same operations as avx512.h.
// Anonymous on purpose: each file of an instruction set gets its own copy.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define SILLAR_INLINE static inline __attribute__((always_inline))

namespace sillar::kernels {
namespace {

struct Simd {
  using F = __m256;
  using I = __m256i;
  static constexpr int lanes = 8;
  static constexpr int tile_rows = 6, tile_columns = 2;  // 12 accumulators, 2 loads and a broadcast: 15 of 16

  SILLAR_INLINE F zero() { return _mm256_setzero_ps(); }
  SILLAR_INLINE F set(float x) { return _mm256_set1_ps(x); }
  SILLAR_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
  SILLAR_INLINE void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  // The first n lanes, 0 < n < lanes; the others are zero, or not written.
  SILLAR_INLINE F load_part(const float* p, int64_t n) { return _mm256_maskload_ps(p, below(n)); }
  SILLAR_INLINE void store_part(float* p, F x, int64_t n) { _mm256_maskstore_ps(p, below(n), x); }
  SILLAR_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  SILLAR_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  SILLAR_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  SILLAR_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
  SILLAR_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  SILLAR_INLINE F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  SILLAR_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }  // b where one is NaN
  SILLAR_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
  SILLAR_INLINE F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  SILLAR_INLINE F round(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  SILLAR_INLINE float first_lane(F a) { return _mm256_cvtss_f32(a); }
  SILLAR_INLINE float reduce_add(F a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  SILLAR_INLINE float reduce_max(F a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }
  // x * 2^n, n an integer in [-127, 127]: the exponent's bits; zero at -127.
  SILLAR_INLINE F scale_by_power(F x, F n) {
    const I exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return mul(x, _mm256_castsi256_ps(exponent));
  }
  static constexpr float smallest_power = -127;
  // a in lanes [begin, end), b elsewhere.
  SILLAR_INLINE F within(F a, F b, int64_t begin, int64_t end) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(_mm256_andnot_si256(below(begin), below(end))));
  }
  SILLAR_INLINE F nan_to_zero(F a) { return _mm256_and_ps(a, _mm256_cmp_ps(a, a, _CMP_ORD_Q)); }
  SILLAR_INLINE F copy_sign(F magnitude, F sign) {
    const F bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(bit, sign), _mm256_andnot_ps(bit, magnitude));
  }
  // Whether any lane of a is above b.
  SILLAR_INLINE bool any_above(F a, F b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }
  // Lanes 0, 2, 4... and 1, 3, 5... of the 2 x lanes floats at p; and the way back.
  SILLAR_INLINE void load_pairs(const float* p, F& even, F& odd) {
    const F a = load(p), b = load(p + 8);
    const F low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
    even = _mm256_shuffle_ps(low, high, 0x88);
    odd = _mm256_shuffle_ps(low, high, 0xdd);
  }
  SILLAR_INLINE void store_pairs(float* p, F even, F odd) {
    const F low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    store(p, _mm256_permute2f128_ps(low, high, 0x20));
    store(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
  }
  SILLAR_INLINE F load_f16(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
  SILLAR_INLINE void store_f16(uint16_t* p, F x) {
    _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  SILLAR_INLINE void store_bf16(uint16_t* p, F x) {  // of finite x
    const I bits = _mm256_castps_si256(x);
    const I odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const I rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const I packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x08);
    _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(packed));
  }
  // 32-bit lanes at p, and fields of them as floats.
  SILLAR_INLINE I load_bits(const void* p) { return _mm256_loadu_si256((const __m256i*)p); }
  SILLAR_INLINE F bf16_low(I x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)); }
  SILLAR_INLINE F bf16_high(I x) { return _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(int(0xffff0000u)))); }
  template <int byte>
  SILLAR_INLINE F signed_byte(I x) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(x, 24 - 8 * byte), 24));
  }
  SILLAR_INLINE I flip_byte_signs(I x) { return _mm256_xor_si256(x, _mm256_set1_epi32(int(0x80808080u))); }

 private:
  SILLAR_INLINE I below(int64_t n) {
    const int limit = int(n < 0 ? 0 : n > 8 ? 8 : n);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace
}  // namespace sillar::kernels
