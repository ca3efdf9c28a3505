// Rotary position embedding: the frequencies of a model, and cos and sin of a position.
// RoPE: Su et al. 2021. YaRN: Peng et al. 2023. Llama 3's factors come as a tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "model/hyperparameters.h"

namespace sillar {

class Rope {
 public:
  Rope() = default;
  // factors: [rotary_dim / 2] divisors of the frequencies, or null.
  Rope(const Hyperparameters& h, const float* factors);

  int64_t half() const { return static_cast<int64_t>(frequencies_.size()); }
  // cos and sin: [half()].
  void fill(int64_t position, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;
  double magnitude_ = 1;
};

}  // namespace sillar
