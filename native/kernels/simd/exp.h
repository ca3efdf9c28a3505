// exp and 2^x on vectors, included after the Simd of an instruction set.
// Polynomials: least maximal relative error on half an octave around 0, the first coefficients fixed to 1
// so that exp(0) is exactly 1. Errors, measured over all results that are normal numbers: tests/native.
#pragma once

#include <cstdint>

namespace sillar::kernels {
namespace {

// 2^x for x <= 127; NaN stays NaN; zero below the range.
SILLAR_INLINE Simd::F exp2(Simd::F x) {
  const Simd::F t = Simd::max(Simd::set(Simd::smallest_power), x);
  const Simd::F n = Simd::round(t), f = Simd::sub(t, n);
  Simd::F p = Simd::set(1.3264727e-3f);
  p = Simd::fma(p, f, Simd::set(9.6715126e-3f));
  p = Simd::fma(p, f, Simd::set(5.5507337e-2f));
  p = Simd::fma(p, f, Simd::set(2.4022242e-1f));
  p = Simd::fma(p, f, Simd::set(6.9314698e-1f));
  p = Simd::fma(p, f, Simd::set(1.0f));
  return Simd::scale_by_power(p, n);
}

// e^x for x <= 88; NaN stays NaN; zero below the range.
SILLAR_INLINE Simd::F exp(Simd::F x) {
  const Simd::F t = Simd::max(Simd::set(Simd::smallest_power * 0.693147181f), x);
  const Simd::F n = Simd::round(Simd::mul(t, Simd::set(1.44269504f)));
  Simd::F r = Simd::fnma(n, Simd::set(0.693359375f), t);  // ln 2 in two parts, the first exact in products
  r = Simd::fnma(n, Simd::set(-2.12194440e-4f), r);
  Simd::F p = Simd::set(1.3814613e-3f);
  p = Simd::fma(p, r, Simd::set(8.3687098e-3f));
  p = Simd::fma(p, r, Simd::set(4.1668387e-2f));
  p = Simd::fma(p, r, Simd::set(1.6666521e-1f));
  p = Simd::fma(p, r, Simd::set(4.9999993e-1f));
  p = Simd::fma(p, r, Simd::set(1.0f));
  p = Simd::fma(p, r, Simd::set(1.0f));
  return Simd::scale_by_power(p, n);
}

}  // namespace
}  // namespace sillar::kernels
