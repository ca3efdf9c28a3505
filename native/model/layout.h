// Hands out 64-byte aligned parts of one buffer. Run once without memory, it learns the size.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace sillar {

class Layout {
 public:
  explicit Layout(std::byte* base) : base_(base) {}

  std::byte* bytes(size_t n) {
    std::byte* p = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (n + 63) / 64 * 64;
    return p;
  }
  float* floats(int64_t n) { return reinterpret_cast<float*>(bytes(static_cast<size_t>(n) * sizeof(float))); }
  void activations(int64_t rows, int64_t cols, bool f32, kernels::Activations& out) {
    std::byte* memory = bytes(kernels::activation_bytes(rows, cols, f32));
    if (memory != nullptr) out = kernels::bind_activations(memory, rows, cols, f32);
  }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

}  // namespace sillar
