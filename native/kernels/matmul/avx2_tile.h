// The register tile of the AVX2 products: 16 rows (two vectors) x up to 4 tokens.
//
// vpmaddubsw gives int16 sums of two products, added up over as many quads as cannot overflow (4-bit
// weights: 8, 5-bit: 4, 6-bit: 2) before vpmaddwd widens them. 8-bit weights take their sign over to the
// activation, |w| * sign(x, w) <= 2 * 128 * 127, so that nothing saturates either.
// Bound by vpmaddubsw (two a cycle on most cores): one vector and token every half cycle.
#pragma once

#include "kernels/matmul/avx2_unpack.h"
#include "kernels/matmul/tokens.h"

namespace sillar::kernels {
namespace {

// What a tile needs to know about a type.
template <WeightType type_>
struct Kind {
  static constexpr WeightType type = type_;
  static constexpr PackedFormat format = packed_format(type_);
  static constexpr int halves = format.scale_groups;
  static constexpr int quads = int(group_quads) / halves;
  static constexpr int bits = format.low_bits + format.high_bits;
  static constexpr int narrow_quads = bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
};

// Weights in the packed layout, unpacked where they are used.
template <class K>
struct PackedSource {
  const uint8_t* block;
  int64_t group;
  template <int q>
  [[gnu::always_inline]] __m256i operand(int vector) const {
    return quad<K::type, q>(block + group * group_bytes(K::format), vector);
  }
  [[gnu::always_inline]] __m256 scale(int half, int vector) const {
    return group_scale<K::type>(block, group, half, vector);
  }
  [[gnu::always_inline]] __m256 min(int half, int vector) const {
    return group_min<K::type>(block, group, half, vector);
  }
};

// Weights of one group unpacked before: bytes [quad][16 rows][4], fp32 scales and mins [half][16 rows].
struct PanelSource {
  const uint8_t* operands;
  const float* scales;
  const float* mins;
  template <int q>
  [[gnu::always_inline]] __m256i operand(int vector) const {
    return load256(operands + 64 * q + 32 * vector);
  }
  [[gnu::always_inline]] __m256 scale(int half, int vector) const {
    return _mm256_load_ps(scales + half * tile_rows + vector * vector_rows);
  }
  [[gnu::always_inline]] __m256 min(int half, int vector) const {
    return _mm256_load_ps(mins + half * tile_rows + vector * vector_rows);
  }
};

// One quad's int16 pair sums; 8-bit weights come as w + 128.
template <class K>
[[gnu::always_inline]] inline __m256i pair_sums(__m256i operand, __m256i x) {
  if constexpr (K::bits < 8) return _mm256_maddubs_epi16(operand, x);
  const __m256i w = _mm256_xor_si256(operand, _mm256_set1_epi8(-128));
  return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}

// Integer dot products of half a group (or a whole one), the zero point taken off.
template <class K, int half, int tokens, class Source>
[[gnu::always_inline]] inline void dot(const Source& source, const Tokens& x, int64_t group,
                                       __m256i (&out)[tokens][2]) {
  constexpr int zero_point = K::bits == 8 ? 0 : K::format.zero_point;
  constexpr int low = -zero_point & 0xffff, high = int(unsigned(low) << 16);
  constexpr int pair = K::halves == 1 ? (low | high) : half == 0 ? low : high;
  unroll<tokens>([&](auto t) {
    __m256i start = _mm256_setzero_si256();
    if constexpr (zero_point != 0)
      start = _mm256_madd_epi16(broadcast32(x.sums + 2 * (t.value * x.groups + group)), _mm256_set1_epi32(pair));
    out[t.value][0] = out[t.value][1] = start;
  });
  __m256i narrow[tokens][2];
  unroll<K::quads>([&](auto i) {
    constexpr int q = half * K::quads + i.value;
    constexpr bool first = i.value % K::narrow_quads == 0;
    constexpr bool last = (i.value + 1) % K::narrow_quads == 0 || i.value + 1 == K::quads;
    const __m256i w[2] = {source.template operand<q>(0), source.template operand<q>(1)};
    unroll<tokens>([&](auto t) {
      const __m256i value = broadcast32(x.values + t.value * x.cols + group * group_cols + 4 * q);
      unroll<2>([&](auto v) {
        const __m256i sums = pair_sums<K>(w[v.value], value);
        __m256i& total = narrow[t.value][v.value];
        total = first ? sums : _mm256_add_epi16(total, sums);
        if (K::narrow_quads == 8) asm("" : "+x"(total));  // GCC would make a tree of the sums, and spill its leaves
        if (last)
          out[t.value][v.value] =
              _mm256_add_epi32(out[t.value][v.value], _mm256_madd_epi16(total, _mm256_set1_epi16(1)));
      });
    });
  });
}

// acc += one group of all tokens.
template <class K, int tokens, class Source>
[[gnu::always_inline]] inline void add_group(const Source& source, const Tokens& x, int64_t group,
                                             __m256 (&acc)[tokens][2]) {
  __m256 sum[tokens][2];
  unroll<K::halves>([&](auto half) {
    constexpr int h = half.value;
    __m256i dots[tokens][2];
    dot<K, h, tokens>(source, x, group, dots);
    unroll<2>([&](auto v) {
      const __m256 scale = source.scale(h, v.value);
      unroll<tokens>([&](auto t) {
        const __m256 value = _mm256_cvtepi32_ps(dots[t.value][v.value]);
        __m256& s = sum[t.value][v.value];
        s = h == 0 ? _mm256_mul_ps(value, scale) : _mm256_fmadd_ps(value, scale, s);
      });
    });
  });
  unroll<tokens>([&](auto t) {
    const int64_t at = t.value * x.groups + group;
    const __m256 x_scale = _mm256_broadcast_ss(x.scales + at);
    unroll<2>([&](auto v) {
      __m256& s = sum[t.value][v.value];
      if constexpr (K::format.has_min && K::halves == 1)
        s = _mm256_fmadd_ps(_mm256_broadcast_ss(x.group_sums + at), source.min(0, v.value), s);
      if constexpr (K::format.has_min && K::halves == 2)
        unroll<2>([&](auto h) {
          s = _mm256_fmadd_ps(_mm256_set1_ps(float(x.sums[2 * at + h.value])), source.min(h.value, v.value), s);
        });
      acc[t.value][v.value] = _mm256_fmadd_ps(s, x_scale, acc[t.value][v.value]);
    });
  });
}

}  // namespace
}  // namespace sillar::kernels
