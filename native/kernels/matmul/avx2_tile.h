// The register tile of the AVX2 products: 16 rows (two vectors) x up to 4 tokens.
//
// vpmaddubsw gives int16 sums of two products, added up over as many quads as cannot overflow (4-bit
// weights: 8, 5-bit: 4, 6-bit: 2) before vpmaddwd widens them, and multiplies by a k-quant's integer scale for
// nothing. 8-bit weights take their sign over to the activation, |w| * sign(x, w) <= 2 * 128 * 127, so that
// nothing saturates either. Bound by vpmaddubsw (two a cycle on most cores): one vector and token every half cycle.
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

// A block of weights in the packed layout, unpacked where it is used.
template <class K>
struct PackedSource {
  const uint8_t* block;
  template <int q>
  [[gnu::always_inline]] __m256i operand(int64_t group, int vector) const {
    return quad<K::type, q>(block + group * group_bytes(K::format), vector);
  }
  // Row-scaled types: `block` is the first of up to 4; of block i a quad's operand, its scales and its mins.
  [[gnu::always_inline]] const uint8_t* pair(int64_t i) const { return block + i * packed_block_bytes(K::format); }
  template <int q>
  [[gnu::always_inline]] __m256i row_operand(int64_t i, int half, int vector) const {
    return pair_quad<q>(pair(i), half, vector);
  }
  [[gnu::always_inline]] __m256i row_scale(int64_t i, int vector) const {
    return load256(pair(i) + scale_offset(K::format) + 32 * vector);
  }
  [[gnu::always_inline]] __m256i row_min(int64_t i, int vector) const {
    return load256(pair(i) + min_offset(K::format) + 32 * vector);
  }
  [[gnu::always_inline]] __m256 scale(int vector) const { return block_scale<K::type>(block, vector); }
  [[gnu::always_inline]] __m256 min(int vector) const { return block_min<K::type>(block, vector); }
  // K-quants: scale 2 * pair + which, twice; a pair of what corrects the sum: mins, or scales at a zero point.
  template <int which>
  [[gnu::always_inline]] __m256i k_scale(int64_t pair, int vector) const {
    return doubled<which>(scale_pair<K::type>(block, pair, vector));
  }
  [[gnu::always_inline]] __m256i correction(int64_t pair, int vector) const {
    if constexpr (K::format.has_min) return min_pair<K::type>(block, pair, vector);
    else return scale_pair<K::type>(block, pair, vector);
  }
};

// A block unpacked before: bytes [group][quad][16 rows][4]; d, m [16 rows]; k-quants [scale] or [pair][16 rows][2].
struct PanelSource {
  const uint8_t* operands;
  const float* scales;
  const float* mins;
  const int16_t* k_scales;
  const int16_t* corrections;
  template <int q>
  [[gnu::always_inline]] __m256i operand(int64_t group, int vector) const {
    return load256(operands + 64 * (group * group_quads + q) + 32 * vector);
  }
  [[gnu::always_inline]] __m256 scale(int vector) const { return _mm256_load_ps(scales + vector * vector_rows); }
  [[gnu::always_inline]] __m256 min(int vector) const { return _mm256_load_ps(mins + vector * vector_rows); }
  template <int which>
  [[gnu::always_inline]] __m256i k_scale(int64_t pair, int vector) const {
    return load_int16(k_scales + 2 * ((2 * pair + which) * tile_rows + vector * vector_rows));
  }
  [[gnu::always_inline]] __m256i correction(int64_t pair, int vector) const {
    return load_int16(corrections + 2 * (pair * tile_rows + vector * vector_rows));
  }
  template <int q>
  [[gnu::always_inline]] __m256i row_operand(int64_t i, int half, int vector) const {
    return load256(operands + 64 * (2 * (i * group_quads + q) + half) + 32 * vector);
  }
  [[gnu::always_inline]] __m256i row_scale(int64_t i, int vector) const {
    return load_int16(k_scales + 2 * (i * tile_rows + vector * vector_rows));
  }
  [[gnu::always_inline]] __m256i row_min(int64_t i, int vector) const { return correction(i, vector); }
  [[gnu::always_inline]] static __m256i load_int16(const int16_t* p) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
};

// One quad's int16 pair sums; 8-bit weights come as w + 128.
template <class K>
[[gnu::always_inline]] inline __m256i pair_sums(__m256i operand, __m256i x) {
  if constexpr (K::bits < 8) return _mm256_maddubs_epi16(operand, x);
  const __m256i w = _mm256_xor_si256(operand, _mm256_set1_epi8(-128));
  return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}

// sums += factor * integer dot products of quads [begin, begin + K::quads) of a group.
template <class K, int begin, int tokens, class Source>
[[gnu::always_inline]] inline void add_dots(const Source& source, int64_t group, const Tokens& x,
                                            const __m256i (&factor)[2], __m256i (&sums)[tokens][2]) {
  __m256i narrow[tokens][2];
  unroll<K::quads>([&](auto i) {
    constexpr int q = begin + i.value;
    constexpr bool first = i.value % K::narrow_quads == 0;
    constexpr bool last = (i.value + 1) % K::narrow_quads == 0 || i.value + 1 == K::quads;
    const __m256i w[2] = {source.template operand<q>(group, 0), source.template operand<q>(group, 1)};
    unroll<tokens>([&](auto t) {
      const __m256i value = broadcast32(x.values + t.value * x.stride + group * group_cols + 4 * q);
      unroll<2>([&](auto v) {
        const __m256i pairs = pair_sums<K>(w[v.value], value);
        __m256i& total = narrow[t.value][v.value];
        total = first ? pairs : _mm256_add_epi16(total, pairs);
        if (K::narrow_quads == 8) asm("" : "+x"(total));  // GCC would make a tree of the sums, and spill its leaves
        __m256i& sum = sums[t.value][v.value];
        if (last) sum = _mm256_add_epi32(sum, _mm256_madd_epi16(total, factor[v.value]));
      });
    });
  });
}

// acc += a block whose columns share a scale, all tokens.
template <class K, int tokens, class Source>
[[gnu::always_inline]] inline void add_block(const Source& source, const Tokens& x, __m256 (&acc)[tokens][2]) {
  constexpr int zero_point = K::bits == 8 ? 0 : K::format.zero_point;
  __m256i dots[tokens][2];
  unroll<tokens>([&](auto t) {
    __m256i start = _mm256_setzero_si256();
    if constexpr (zero_point != 0)
      start = _mm256_madd_epi16(broadcast32(x.sums + 2 * t.value * x.groups), _mm256_set1_epi16(-zero_point));
    dots[t.value][0] = dots[t.value][1] = start;
  });
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t group = 0; group < block_groups(K::format); ++group) add_dots<K, 0>(source, group, x, {ones, ones}, dots);
  unroll<tokens>([&](auto t) {
    const int64_t at = t.value * x.groups;
    const __m256 x_scale = _mm256_broadcast_ss(x.scales + at);
    unroll<2>([&](auto v) {
      __m256 sum = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[t.value][v.value]), source.scale(v.value));
      if constexpr (K::format.has_min)
        sum = _mm256_fmadd_ps(_mm256_broadcast_ss(x.group_sums_f32 + at), source.min(v.value), sum);
      acc[t.value][v.value] = _mm256_fmadd_ps(sum, x_scale, acc[t.value][v.value]);
    });
  });
}

// sums += the dot products of two groups and 8 rows, each times its share and its weights' scale. They fit int16.
template <class K, int vector, int tokens, class Source>
[[gnu::always_inline]] inline void add_pair(const Source& source, int64_t pair, const Tokens& x,
                                            __m256i (&sums)[tokens][2]) {
  __m256i narrow[tokens][2];
  unroll<int(group_quads)>([&](auto q) {
    const __m256i w[2] = {source.template row_operand<q.value>(pair, 0, vector),
                          source.template row_operand<q.value>(pair, 1, vector)};
    unroll<tokens>([&](auto t) {
      const int8_t* values = x.pairs + t.value * pair_stride(x.groups) + 2 * pair * group_cols;
      const __m256i value = broadcast64(values + 8 * q.value);
      unroll<2>([&](auto half) {
        const __m256i products = _mm256_maddubs_epi16(w[half.value], value);
        __m256i& total = narrow[t.value][half.value];
        total = q.value == 0 ? products : _mm256_add_epi16(total, products);
        asm("" : "+x"(total));  // as in add_dots
      });
    });
  });
  unroll<tokens>([&](auto t) {
    const int64_t at = t.value * share_stride(x.groups) + 2 * pair;
    const __m256i start = broadcast64(x.starts + at);
    __m256i dots[2];
    unroll<2>([&](auto half) {
      dots[half.value] = _mm256_add_epi32(start, _mm256_madd_epi16(narrow[t.value][half.value], _mm256_set1_epi16(1)));
    });
    const __m256i shared = _mm256_mulhrs_epi16(_mm256_packs_epi32(dots[0], dots[1]), broadcast32(x.shares + at));
    __m256i& sum = sums[t.value][vector];
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(shared, source.row_scale(pair, vector)));
    if constexpr (K::format.has_min)
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(broadcast32(x.sum_shares + at), source.row_min(pair, vector)));
  });
}

// acc += up to 8 groups whose integer scales have a unit of the row, all tokens.
template <class K, int tokens, class Source>
[[gnu::always_inline]] inline void add_share_block(const Source& source, const Tokens& x, int64_t groups,
                                                   __m256 (&acc)[tokens][2]) {
  __m256i sums[tokens][2];
  unroll<tokens>([&](auto t) { sums[t.value][0] = sums[t.value][1] = _mm256_setzero_si256(); });
  for (int64_t pair = 0; pair < share_groups / 2 && 2 * pair < groups; ++pair) {
    add_pair<K, 0>(source, pair, x, sums);
    add_pair<K, 1>(source, pair, x, sums);
  }
  unroll<tokens>([&](auto t) {
    const __m256 scale = _mm256_broadcast_ss(x.block_scales + t.value * block_stride(x.groups));
    unroll<2>([&](auto v) {
      acc[t.value][v.value] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t.value][v.value]), scale, acc[t.value][v.value]);
    });
  });
}

// What a block of 256 columns gives one token and vector. `dots`: the sum of scale_i * dot_i, a zero point in it.
template <class K, class Source>
[[gnu::always_inline]] inline __m256 block_value(const Source& source, int vector, const int16_t* x_sums, __m256i dots) {
  __m256i total = _mm256_setzero_si256();
  for (int64_t pair = 0; pair < block_scale_count(K::format) / 2; ++pair)
    total = _mm256_add_epi32(total, _mm256_madd_epi16(source.correction(pair, vector), broadcast32(x_sums + 2 * pair)));
  const __m256 d = source.scale(vector);
  if constexpr (K::format.has_min)
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), source.min(vector), _mm256_mul_ps(_mm256_cvtepi32_ps(dots), d));
  constexpr int shift = __builtin_ctz(K::format.zero_point | 1 << 16);  // a power of two
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(dots, _mm256_slli_epi32(total, shift))), d);
}

// acc += a k-quant's block of 256 columns, all tokens.
template <class K, int tokens, class Source>
[[gnu::always_inline]] inline void add_k_block(const Source& source, const Tokens& x, __m256 (&acc)[tokens][2]) {
  __m256i dots[tokens][2];
  unroll<tokens>([&](auto t) { dots[t.value][0] = dots[t.value][1] = _mm256_setzero_si256(); });
  for (int64_t pair = 0; pair < block_scale_count(K::format) / 2; ++pair)
    unroll<2>([&](auto i) {
      constexpr int begin = K::halves == 2 ? i.value * K::quads : 0;
      const __m256i factor[2] = {source.template k_scale<i.value>(pair, 0), source.template k_scale<i.value>(pair, 1)};
      add_dots<K, begin>(source, (2 * pair + i.value) / K::halves, x, factor, dots);
    });
  unroll<tokens>([&](auto t) {
    const int64_t at = t.value * x.groups;
    const int16_t* x_sums = K::halves == 1 ? x.group_sums + at : x.sums + 2 * at;
    const __m256 x_scale = _mm256_broadcast_ss(x.scales + at);
    unroll<2>([&](auto v) {
      const __m256 value = block_value<K>(source, v.value, x_sums, dots[t.value][v.value]);
      acc[t.value][v.value] = _mm256_fmadd_ps(value, x_scale, acc[t.value][v.value]);
    });
  });
}

}  // namespace
}  // namespace sillar::kernels
