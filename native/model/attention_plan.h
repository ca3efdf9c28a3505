// Cuts a pass's attention into tasks: sequence x KV head x query tile for long pieces of prompts; short ones
// and single tokens also by ranges of the KV cache, whose partial results are merged.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/batch.h"
#include "model/compute.h"
#include "model/hyperparameters.h"
#include "model/kv_cache.h"

namespace sillar {

// Rows of queries and outputs, [tokens][q_dim].
struct AttentionRows {
  const float* q = nullptr;
  float* out = nullptr;
  int64_t stride = 0;
};

class AttentionPlan {
 public:
  AttentionPlan(const Hyperparameters& h, const kernels::KvLayout& layout, const Compute& compute, int64_t max_rows,
                int64_t context);

  // Lays out the tasks of a pass; the same for every layer. No allocation.
  void plan(std::span<const Piece> pieces);
  void run(const Compute& compute, const KvCache& cache, int64_t layer, const AttentionRows& rows) const;

 private:
  struct Task {
    const Piece* piece;
    int64_t first, queries;      // query rows of the piece
    int64_t kv_head;
    int64_t kv_begin, kv_end;    // 0, 0: everything that the queries see
    int64_t partial;             // offset in partials_; -1: not split
  };
  // Of the splits [begin, begin + splits) of one tile and KV head, some queries.
  struct Merge {
    int64_t begin, splits;
    int64_t first, queries;  // of the tile's
    int64_t round;
  };
  void plan_piece(const Piece& piece);
  void plan_splits(const Task& whole);
  void merge(const Merge& m, const KvCache& cache, int64_t layer, const AttentionRows& rows, const Compute& compute) const;
  kernels::AttentionTask kernel_task(const Task& task, const KvCache& cache, int64_t layer, const AttentionRows& rows) const;
  int64_t partial_floats(int64_t queries) const { return queries * heads_per_kv_ * (head_dim_ + 2); }

  kernels::KvLayout layout_;
  int64_t kv_heads_, heads_per_kv_, head_dim_, window_, query_tile_, wanted_tasks_;
  std::vector<Task> tasks_;
  std::vector<Merge> merges_;
  std::vector<int64_t> round_ends_;  // tasks of round i end here; a round's partials fit in the buffer
  int64_t partials_used_ = 0;
  Buffer partials_;
};

}  // namespace sillar
