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
  const int8_t* pairs;
  const int32_t* starts;
  const int16_t* shares;
  const int16_t* sum_shares;
  const float* block_scales;
  int64_t stride, groups;  // steps from token to token: of values, of groups
};

// pairs, starts, shares, sum_shares and block_scales: of the block that `group` lies in.
static inline Tokens tokens_at(const Activations& x, int64_t token, int64_t group) {
  const int64_t groups = x.cols / group_cols, at = token * groups + group;
  const int64_t block = group / share_groups, share = token * share_stride(groups) + block * share_groups;
  const int64_t pair = token * pair_stride(groups) + block * share_groups * group_cols;
  return {x.values + token * x.value_stride() + group * group_cols, x.scales + at, x.sums + 2 * at, x.group_sums + at,
          x.group_sums_f32 + at, x.pairs + pair, x.starts + share,
          x.shares + share, x.sum_shares + share,
          x.block_scales + token * block_stride(groups) + block, x.value_stride(), groups};
}

// The same from `n` groups on, within a block. Field by field: copied whole it would go through memory.
static inline Tokens advanced_groups(const Tokens& x, int64_t n) {
  return {x.values + n * group_cols, x.scales + n, x.sums + 2 * n, x.group_sums + n, x.group_sums_f32 + n,
          x.pairs, x.starts, x.shares, x.sum_shares, x.block_scales, x.stride, x.groups};
}

static inline Tokens advanced(const Tokens& x, int64_t tokens) {
  const int64_t groups = tokens * x.groups, share = tokens * share_stride(x.groups);
  return {x.values + tokens * x.stride, x.scales + groups, x.sums + 2 * groups, x.group_sums + groups,
          x.group_sums_f32 + groups, x.pairs + tokens * pair_stride(x.groups), x.starts + share, x.shares + share,
          x.sum_shares + share, x.block_scales + tokens * block_stride(x.groups), x.stride, x.groups};
}

}  // namespace sillar::kernels
