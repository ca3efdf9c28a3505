// Angles are computed in double: at position 100,000 a float angle would be wrong in the third digit.
#include "model/rope.h"

#include <algorithm>
#include <cmath>

namespace sillar {
namespace {

constexpr double pi = 3.14159265358979323846;
constexpr double yarn_beta_fast = 32;
constexpr double yarn_beta_slow = 1;

// The dimension whose wave turns `rotations` times in the original context.
double yarn_dimension(const Hyperparameters& h, double rotations) {
  const auto context = static_cast<double>(h.rope_original_context);
  return static_cast<double>(h.rotary_dim) * std::log(context / (rotations * 2 * pi)) /
         (2 * std::log(static_cast<double>(h.rope_base)));
}

// The share of extrapolation (unscaled frequency) of pair i.
double yarn_share(const Hyperparameters& h, int64_t i) {
  const double last = static_cast<double>(h.rotary_dim) - 1;
  const double low = std::clamp(std::floor(yarn_dimension(h, yarn_beta_fast)), 0.0, last);
  const double high = std::clamp(std::ceil(yarn_dimension(h, yarn_beta_slow)), 0.0, last);
  const double ramp = (static_cast<double>(i) - low) / std::max(0.001, high - low);
  return 1 - std::clamp(ramp, 0.0, 1.0);
}

}  // namespace

Rope::Rope(const Hyperparameters& h, const float* factors) {
  const int64_t half = h.rotary_dim / 2;
  const double scale = 1.0 / static_cast<double>(h.rope_factor);
  for (int64_t i = 0; i < half; ++i) {
    double f = std::pow(static_cast<double>(h.rope_base), -2.0 * static_cast<double>(i) / static_cast<double>(h.rotary_dim));
    if (factors != nullptr) f /= static_cast<double>(factors[i]);
    if (h.rope_scaling == RopeScaling::linear) f *= scale;
    if (h.rope_scaling == RopeScaling::yarn) {
      const double share = yarn_share(h, i);
      f = f * scale * (1 - share) + f * share;
    }
    frequencies_.push_back(f);
  }
  if (h.rope_scaling == RopeScaling::yarn) {
    magnitude_ = static_cast<double>(h.rope_attention_factor) * (1 + 0.1 * std::log(1 / scale));
  }
}

void Rope::fill(int64_t position, float* cos, float* sin) const {
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    const double angle = static_cast<double>(position) * frequencies_[i];
    cos[i] = static_cast<float>(std::cos(angle) * magnitude_);
    sin[i] = static_cast<float>(std::sin(angle) * magnitude_);
  }
}

}  // namespace sillar
