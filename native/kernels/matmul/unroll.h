// Loops whose indices the compiler knows, so that arrays of vectors stay in registers.
#pragma once

namespace sillar::kernels {
namespace {

template <int n>
struct Constant {
  static constexpr int value = n;
};

// Calls f(Constant<0>), f(Constant<1>), ... f(Constant<n - 1>).
template <int n, class F>
[[gnu::always_inline]] inline void unroll(const F& f) {
  if constexpr (n > 0) {
    unroll<n - 1>(f);
    f(Constant<n - 1>{});
  }
}

}  // namespace
}  // namespace sillar::kernels
