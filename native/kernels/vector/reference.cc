// Vector operations written for reading: plain loops with fp64 sums. The oracle of the other files.
#include <cmath>

#include "base/half.h"
#include "kernels/isa_entries.h"
#include "kernels/vector/top_k.h"

namespace sillar::kernels {
namespace {

void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += double(x[i]) * x[i];
  const double factor = 1 / std::sqrt(squares / double(n) + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = float(x[i] * factor * weight[i]);
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out) {
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= double(n);
  for (int64_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const double factor = 1 / std::sqrt(variance / double(n) + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = float((x[i] - mean) * factor * weight[i] + bias[i]);
}

void rope(float* x, const float* cos, const float* sin, int64_t heads, int64_t head_dim, int64_t rotary_dim,
          RopeStyle style) {
  const int64_t half = rotary_dim / 2;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t i = 0; i < half; ++i) {
      float* row = x + head * head_dim;
      float& a = row[style == RopeStyle::halves ? i : 2 * i];
      float& b = row[style == RopeStyle::halves ? i + half : 2 * i + 1];
      const float rotated_a = a * cos[i] - b * sin[i];
      b = a * sin[i] + b * cos[i];
      a = rotated_a;
    }
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = float(gate[i] / (1 + std::exp(-double(gate[i]))) * up[i]);
}

void gelu(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = float(0.5 * x[i] * (1 + std::erf(x[i] * std::sqrt(0.5))));
}

void add(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += x[i];
}

float max(const float* x, int64_t n) {
  float largest = -INFINITY;
  for (int64_t i = 0; i < n; ++i) largest = std::fmax(largest, x[i]);
  return largest;
}

void softmax(const float* x, int64_t n, float scale, float* out) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::fmax(largest, double(x[i]) * scale);
  for (int64_t i = 0; i < n; ++i) sum += std::exp(double(x[i]) * scale - largest);
  for (int64_t i = 0; i < n; ++i) out[i] = float(std::exp(double(x[i]) * scale - largest) / sum);
}

float dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double(a[i]) * b[i];
  return float(sum);
}

void scan_f16(const float* query, const uint16_t* rows, int64_t n_rows, int64_t dim, float* scores) {
  for (int64_t row = 0; row < n_rows; ++row) {
    double sum = 0;
    for (int64_t i = 0; i < dim; ++i) sum += double(query[i]) * f16_to_f32(rows[row * dim + i]);
    scores[row] = float(sum);
  }
}

int64_t top_k(const float* scores, int64_t n, int64_t k, int64_t* indices) {
  TopK best{scores, indices, k < n ? k : n, 0};
  for (int64_t i = 0; i < n; ++i) best.offer(i);
  best.sort();
  return best.count;
}

constexpr VectorKernels kernels = {Isa::reference, rms_norm, layer_norm, rope, silu_mul, gelu, add,
                                   softmax,        max,      dot,        scan_f16, top_k};

}  // namespace

const VectorKernels* vector_reference() { return &kernels; }

}  // namespace sillar::kernels
