// The vector operations as templates over the Simd of an instruction set, which is included before.
// All are bound by memory or by exp; sums keep four accumulators, enough to hide the adds' latency.
#pragma once

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/simd/exp.h"
#include "kernels/simd/prefetch.h"
#include "kernels/vector/top_k.h"

namespace sillar::kernels {
namespace {

using F = Simd::F;
constexpr int64_t lanes = Simd::lanes;

// Vector i, i + 1, ... of a row of n: whole, or what is left of it.
SILLAR_INLINE F load_at(const float* p, int64_t i, int64_t n) {
  return i + lanes <= n ? Simd::load(p + i) : Simd::load_part(p + i, n - i);
}

SILLAR_INLINE void store_at(float* p, F x, int64_t i, int64_t n) {
  i + lanes <= n ? Simd::store(p + i, x) : Simd::store_part(p + i, x, n - i);
}

// The sum of term(i) over the vectors of a row; a term's lanes past the end must be zero.
template <class Term>
SILLAR_INLINE float sum_of(int64_t n, const Term& term) {
  F s0 = Simd::zero(), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = term(i, s0);
    s1 = term(i + lanes, s1);
    s2 = term(i + 2 * lanes, s2);
    s3 = term(i + 3 * lanes, s3);
  }
  for (; i < n; i += lanes) s0 = term(i, s0);
  return Simd::reduce_add(Simd::add(Simd::add(s0, s1), Simd::add(s2, s3)));
}

inline float dot(const float* a, const float* b, int64_t n) {
  return sum_of(n, [&](int64_t i, F sum) { return Simd::fma(load_at(a, i, n), load_at(b, i, n), sum); });
}

inline void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  const F factor = Simd::set(1.0f / __builtin_sqrtf(dot(x, x, n) / float(n) + eps));
  for (int64_t i = 0; i < n; i += lanes)
    store_at(out, Simd::mul(Simd::mul(load_at(x, i, n), factor), load_at(weight, i, n)), i, n);
}

inline void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out) {
  const float mean = sum_of(n, [&](int64_t i, F sum) { return Simd::add(load_at(x, i, n), sum); }) / float(n);
  const float squares = sum_of(n, [&](int64_t i, F sum) {
    F centred = Simd::sub(load_at(x, i, n), Simd::set(mean));
    if (i + lanes > n) centred = Simd::within(centred, Simd::zero(), 0, n - i);
    return Simd::fma(centred, centred, sum);
  });
  const F factor = Simd::set(1.0f / __builtin_sqrtf(squares / float(n) + eps));
  for (int64_t i = 0; i < n; i += lanes) {
    const F centred = Simd::mul(Simd::sub(load_at(x, i, n), Simd::set(mean)), factor);
    store_at(out, Simd::fma(centred, load_at(weight, i, n), load_at(bias, i, n)), i, n);
  }
}

// (a, b) -> (a cos - b sin, a sin + b cos)
SILLAR_INLINE void rotate(F& a, F& b, F cos, F sin) {
  const F rotated = Simd::fnma(b, sin, Simd::mul(a, cos));
  b = Simd::fma(a, sin, Simd::mul(b, cos));
  a = rotated;
}

inline void rope_head(float* row, const float* cos, const float* sin, int64_t half, RopeStyle style) {
  const bool halves = style == RopeStyle::halves;
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    F a, b;
    if (halves) {
      a = Simd::load(row + i);
      b = Simd::load(row + half + i);
    } else {
      Simd::load_pairs(row + 2 * i, a, b);
    }
    rotate(a, b, Simd::load(cos + i), Simd::load(sin + i));
    if (halves) {
      Simd::store(row + i, a);
      Simd::store(row + half + i, b);
    } else {
      Simd::store_pairs(row + 2 * i, a, b);
    }
  }
  for (; i < half; ++i) {
    float* a = row + (halves ? i : 2 * i);
    float* b = row + (halves ? i + half : 2 * i + 1);
    const float x = *a, y = *b;
    *a = x * cos[i] - y * sin[i];
    *b = x * sin[i] + y * cos[i];
  }
}

inline void rope(float* x, const float* cos, const float* sin, int64_t heads, int64_t head_dim, int64_t rotary_dim,
                 RopeStyle style) {
  for (int64_t head = 0; head < heads; ++head) rope_head(x + head * head_dim, cos, sin, rotary_dim / 2, style);
}

// With e = exp(-|g|) nothing overflows: g / (1 + e) for g >= 0, g e / (1 + e) below.
inline void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  const F zero = Simd::zero(), one = Simd::set(1.0f);
  for (int64_t i = 0; i < n; i += lanes) {
    const F g = load_at(gate, i, n), e = exp(Simd::sub(zero, Simd::abs(g)));
    const F numerator = Simd::fma(Simd::min(zero, g), e, Simd::max(zero, g));
    store_at(out, Simd::mul(Simd::div(numerator, Simd::add(one, e)), load_at(up, i, n)), i, n);
  }
}

// z Phi(-z) for z >= 0: a polynomial of least maximal error on [0, 5.4] in v, which is -1 to 1 there; 3e-7 with rounding.
// The same constant follows beyond, where the function is below it.
SILLAR_INLINE F gelu_tail(F z) {
  const F v = Simd::fma(Simd::min(Simd::set(5.4f), z), Simd::set(0.37037037f), Simd::set(-1.0f));
  F p = Simd::set(-0.013066587f);
  p = Simd::fma(p, v, Simd::set(0.0021662365f));
  p = Simd::fma(p, v, Simd::set(0.081415966f));
  p = Simd::fma(p, v, Simd::set(-0.046014644f));
  p = Simd::fma(p, v, Simd::set(-0.2048979f));
  p = Simd::fma(p, v, Simd::set(0.22995579f));
  p = Simd::fma(p, v, Simd::set(0.18998595f));
  p = Simd::fma(p, v, Simd::set(-0.49681357f));
  p = Simd::fma(p, v, Simd::set(0.20805098f));
  p = Simd::fma(p, v, Simd::set(0.37765503f));
  p = Simd::fma(p, v, Simd::set(-0.61299694f));
  p = Simd::fma(p, v, Simd::set(0.3032623f));
  p = Simd::fma(p, v, Simd::set(0.14121586f));
  p = Simd::fma(p, v, Simd::set(-0.30360192f));
  p = Simd::fma(p, v, Simd::set(0.20093185f));
  p = Simd::fma(p, v, Simd::set(-0.06660917f));
  p = Simd::fma(p, v, Simd::set(0.009360862f));
  return p;
}

// x Phi(x) = max(x, 0) - |x| Phi(-|x|)
inline void gelu(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += lanes) {
    const F v = load_at(x, i, n);
    store_at(out, Simd::sub(Simd::max(Simd::zero(), v), gelu_tail(Simd::abs(v))), i, n);
  }
}

inline void add(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += lanes) store_at(out, Simd::add(load_at(out, i, n), load_at(x, i, n)), i, n);
}

inline float max(const float* x, int64_t n) {
  F largest = Simd::set(-__builtin_inff());
  for (int64_t i = 0; i < n; i += lanes) {
    F v = load_at(x, i, n);
    if (i + lanes > n) v = Simd::within(v, largest, 0, n - i);
    largest = Simd::max(v, largest);
  }
  return Simd::reduce_max(largest);
}

inline void softmax(const float* x, int64_t n, float scale, float* out) {
  const F largest = Simd::set(max(x, n) * scale), factor = Simd::set(scale);
  F sum = Simd::zero();
  for (int64_t i = 0; i < n; i += lanes) {
    F e = exp(Simd::sub(Simd::mul(load_at(x, i, n), factor), largest));
    if (i + lanes > n) e = Simd::within(e, Simd::zero(), 0, n - i);
    sum = Simd::add(sum, e);
    store_at(out, e, i, n);
  }
  const F inverse = Simd::set(1.0f / Simd::reduce_add(sum));
  for (int64_t i = 0; i < n; i += lanes) store_at(out, Simd::mul(load_at(out, i, n), inverse), i, n);
}

inline void scan_f16(const float* query, const uint16_t* rows, int64_t n_rows, int64_t dim, float* scores) {
  const int64_t whole = dim / lanes * lanes;
  for (int64_t row = 0; row < n_rows; ++row) {
    const uint16_t* x = rows + row * dim;
    float score = sum_of(whole, [&](int64_t i, F sum) {
      prefetch_l1(x + i + 4096);
      return Simd::fma(Simd::load(query + i), Simd::load_f16(x + i), sum);
    });
    for (int64_t i = whole; i < dim; ++i) score += query[i] * f16_to_f32(x[i]);
    scores[row] = score;
  }
}

// Vectors in which nothing beats the worst of the best k so far are skipped: nearly all of them.
inline int64_t top_k(const float* scores, int64_t n, int64_t k, int64_t* indices) {
  TopK best{scores, indices, k < n ? k : n, 0};
  int64_t i = 0;
  for (; i < best.capacity; ++i) best.offer(i);
  for (; best.capacity > 0 && i + lanes <= n; i += lanes) {
    const float worst = scores[indices[0]];
    if (worst == worst && !Simd::any_above(Simd::load(scores + i), Simd::set(worst))) continue;
    for (int64_t j = i; j < i + lanes; ++j) best.offer(j);
  }
  for (; i < n; ++i) best.offer(i);
  best.sort();
  return best.count;
}

constexpr VectorKernels table_for(Isa isa) {
  return {isa, rms_norm, layer_norm, rope, silu_mul, gelu, add, softmax, max, dot, scan_f16, top_k};
}

}  // namespace
}  // namespace sillar::kernels
