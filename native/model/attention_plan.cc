// The choice between the two cuts depends on the sequence alone, never on the batch around it, so
// that a token does not change with its company.
#include "model/attention_plan.h"

#include <algorithm>
#include <cmath>

namespace sillar {
namespace {

constexpr int64_t split = kernels::kv_split_tokens;
constexpr int64_t max_split_queries = 16;  // decoding, and verification of drafts
constexpr int64_t partial_budget = int64_t{4} << 20;  // floats

}  // namespace

AttentionPlan::AttentionPlan(const Hyperparameters& h, const kernels::KvLayout& layout, const Compute& compute,
                             int64_t max_rows, int64_t context)
    : layout_(layout),
      kv_heads_(h.kv_heads),
      heads_per_kv_(h.heads / h.kv_heads),
      head_dim_(h.head_dim),
      window_(h.window),
      query_tile_(compute.table().attention->query_tile) {
  const int64_t most_splits = context / split + 2;
  const int64_t largest = max_split_queries * heads_per_kv_ * (head_dim_ + 2) * most_splits;
  partials_ = Buffer(static_cast<size_t>(std::max(largest, partial_budget)) * sizeof(float));
  tasks_.reserve(static_cast<size_t>(max_rows * kv_heads_));
  merges_.reserve(static_cast<size_t>(max_rows * kv_heads_));
}

void AttentionPlan::plan(std::span<const Piece> pieces) {
  tasks_.clear();
  merges_.clear();
  round_ends_.clear();
  partials_used_ = 0;
  for (const Piece& piece : pieces) {
    const bool few = static_cast<int64_t>(piece.sequence->tokens.size()) <= max_split_queries;
    if (few && piece.position() + piece.count > split) {
      plan_splits(piece);
    } else {
      plan_tiles(piece);
    }
  }
  round_ends_.push_back(static_cast<int64_t>(tasks_.size()));
}

// The last tile sees the most positions: it goes first, so that the threads end together.
void AttentionPlan::plan_tiles(const Piece& piece) {
  for (int64_t first = (piece.count - 1) / query_tile_ * query_tile_; first >= 0; first -= query_tile_) {
    const int64_t queries = std::min(query_tile_, piece.count - first);
    for (int64_t head = 0; head < kv_heads_; ++head) tasks_.push_back({&piece, first, queries, head, 0, 0, -1});
  }
}

void AttentionPlan::plan_splits(const Piece& piece) {
  const int64_t seen = piece.position() + piece.count;
  const int64_t oldest = window_ > 0 ? std::max<int64_t>(0, piece.position() - window_ + 1) : 0;
  const int64_t begin = oldest / split * split;
  const int64_t splits = (seen - begin + split - 1) / split;
  const int64_t capacity = static_cast<int64_t>(partials_.bytes() / sizeof(float));
  for (int64_t head = 0; head < kv_heads_; ++head) {
    Task task{&piece, 0, piece.count, head, 0, 0, 0};
    if (partials_used_ + splits * partial_floats(task) > capacity) {
      round_ends_.push_back(static_cast<int64_t>(tasks_.size()));
      partials_used_ = 0;
    }
    merges_.push_back({static_cast<int64_t>(tasks_.size()), splits, static_cast<int64_t>(round_ends_.size())});
    for (int64_t i = 0; i < splits; ++i) {
      task.kv_begin = begin + i * split;
      task.kv_end = std::min(task.kv_begin + split, seen);
      task.partial = partials_used_;
      partials_used_ += partial_floats(task);
      tasks_.push_back(task);
    }
  }
}

kernels::AttentionTask AttentionPlan::kernel_task(const Task& task, const KvCache& cache, int64_t layer,
                                                  const AttentionRows& rows) const {
  kernels::AttentionTask out;
  const int64_t row = task.piece->row + task.first;
  const int64_t column = task.kv_head * heads_per_kv_ * head_dim_;
  out.layout = layout_;
  out.k = cache.keys(layer);
  out.v = cache.values(layer);
  out.blocks = task.piece->sequence->blocks.data();
  out.first_position = task.piece->position() + task.first;
  out.queries = task.queries;
  out.window = window_;
  out.heads_per_kv = heads_per_kv_;
  out.kv_head = task.kv_head;
  out.scale = 1.0F / std::sqrt(static_cast<float>(head_dim_));
  out.q = rows.q + row * rows.stride + column;
  out.q_stride = rows.stride;
  out.out = rows.out + row * rows.stride + column;
  out.out_stride = rows.stride;
  if (task.partial >= 0) {
    out.kv_begin = task.kv_begin;
    out.kv_end = task.kv_end;
    out.partial = partials_.as<float>() + task.partial;
  }
  return out;
}

void AttentionPlan::run(const Compute& compute, const KvCache& cache, int64_t layer, const AttentionRows& rows) const {
  const kernels::AttentionKernels& kernels = *compute.table().attention;
  int64_t begin = 0;
  size_t merge = 0;
  for (size_t round = 0; round < round_ends_.size(); ++round) {
    compute.pool().run(round_ends_[round] - begin, [&](int64_t i, int worker) {
      const Task& task = tasks_[static_cast<size_t>(begin + i)];
      kernels.attention(kernel_task(task, cache, layer, rows), compute.attention_scratch(worker));
    });
    for (; merge < merges_.size() && merges_[merge].round == static_cast<int64_t>(round); ++merge) {
      const Merge& m = merges_[merge];
      const Task& first = tasks_[static_cast<size_t>(m.begin)];
      kernels.merge(kernel_task(first, cache, layer, rows), partials_.as<float>() + first.partial, partial_floats(first),
                    m.splits);
    }
    begin = round_ends_[round];
  }
}

}  // namespace sillar
