// Asks for a cache line. In assembly because GCC takes a function that only prefetches for one without effects, and
// drops its calls.
#pragma once

namespace sillar::kernels {

[[gnu::always_inline]] static inline void prefetch_l1(const void* p) {
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(p)));
}
[[gnu::always_inline]] static inline void prefetch_l2(const void* p) {
  asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p)));
}

// To be written.
[[gnu::always_inline]] static inline void prefetch_written(const void* p) {
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
}

}  // namespace sillar::kernels
