// The activations of a register tile's tokens, from one group of columns on.
#pragma once

#include "kernels/kernels.h"
#include "kernels/matmul/packed.h"

namespace sillar::kernels {

struct Tokens {
  const int8_t* values;
  const float* scales;
  const int16_t* sums;
  const int16_t* group_sums;
  const float* group_sums_f32;
  int64_t cols, groups;  // steps from token to token
};

static inline Tokens tokens_at(const Activations& x, int64_t token, int64_t group) {
  const int64_t groups = x.cols / group_cols, at = token * groups + group;
  return {x.values + token * x.cols + group * group_cols, x.scales + at, x.sums + 2 * at, x.group_sums + at,
          x.group_sums_f32 + at, x.cols, groups};
}

static inline Tokens advanced_groups(const Tokens& x, int64_t n) {
  return {x.values + n * group_cols, x.scales + n, x.sums + 2 * n, x.group_sums + n, x.group_sums_f32 + n, x.cols, x.groups};
}

static inline Tokens advanced(const Tokens& x, int64_t tokens) {
  return advanced_groups(x, tokens * x.groups);
}

}  // namespace sillar::kernels
