// The cut changes no bit of a result (AVX2, AVX-512): a kernel folds ranges of keys just as merge() does.
#include "model/attention_plan.h"

#include <algorithm>
#include <cmath>

namespace sillar {
namespace {

constexpr int64_t split = kernels::kv_split_tokens;
constexpr int64_t least_query_tile = 8;
constexpr int64_t merge_queries = 8;
constexpr int64_t tasks_a_thread = 8;  // so many of a piece, and the threads end together
constexpr int64_t partial_budget = int64_t{4} << 20;  // floats

}  // namespace

AttentionPlan::AttentionPlan(const Hyperparameters& h, const kernels::KvLayout& layout, const Compute& compute,
                             int64_t max_rows, int64_t context)
    : layout_(layout),
      kv_heads_(h.kv_heads),
      heads_per_kv_(h.heads / h.kv_heads),
      head_dim_(h.head_dim),
      window_(h.window),
      query_tile_(compute.table().attention->query_tile),
      wanted_tasks_(tasks_a_thread * compute.pool().size()) {
  const int64_t most_splits = context / split + 2;
  const int64_t largest = partial_floats(query_tile_) * most_splits;
  partials_ = Buffer(static_cast<size_t>(std::max(largest, partial_budget)) * sizeof(float));
  tasks_.reserve(static_cast<size_t>(max_rows * kv_heads_));
  merges_.reserve(static_cast<size_t>(max_rows * kv_heads_));
}

void AttentionPlan::plan(std::span<const Piece> pieces) {
  tasks_.clear();
  merges_.clear();
  round_ends_.clear();
  partials_used_ = 0;
  // Single tokens last: their small tasks fill the threads' time to the end.
  for (const bool single : {false, true})
    for (const Piece& piece : pieces)
      if ((piece.count == 1) == single) plan_piece(piece);
  round_ends_.push_back(static_cast<int64_t>(tasks_.size()));
}

// Ranges of keys only where tiles of queries are too few for the threads: merging costs a few percent.
void AttentionPlan::plan_piece(const Piece& piece) {
  const int64_t seen = piece.position() + piece.count;
  const auto heads_and_tiles = [&](int64_t tile) { return kv_heads_ * ((piece.count + tile - 1) / tile); };
  const bool by_ranges = seen > split && heads_and_tiles(query_tile_) < wanted_tasks_;
  const int64_t ranges = by_ranges ? (std::min(seen, window_ > 0 ? window_ : seen) + split - 1) / split : 1;
  int64_t tile = query_tile_;
  while (tile > least_query_tile && heads_and_tiles(tile) * ranges < wanted_tasks_) tile /= 2;
  // The last tile sees the most positions: it goes first, so that the threads end together.
  for (int64_t first = (piece.count - 1) / tile * tile; first >= 0; first -= tile) {
    for (int64_t head = 0; head < kv_heads_; ++head) {
      const Task task{&piece, first, std::min(tile, piece.count - first), head, 0, 0, -1};
      if (by_ranges) plan_splits(task);
      else tasks_.push_back(task);
    }
  }
}

void AttentionPlan::plan_splits(const Task& whole) {
  const int64_t position = whole.piece->position() + whole.first, seen = position + whole.queries;
  const int64_t oldest = window_ > 0 ? std::max<int64_t>(0, position - window_ + 1) : 0;
  const int64_t begin = oldest / split * split;
  const int64_t splits = (seen - begin + split - 1) / split;
  const int64_t floats = partial_floats(whole.queries);
  if (partials_used_ + splits * floats > static_cast<int64_t>(partials_.bytes() / sizeof(float))) {
    round_ends_.push_back(static_cast<int64_t>(tasks_.size()));
    partials_used_ = 0;
  }
  const auto first_task = static_cast<int64_t>(tasks_.size()), round = static_cast<int64_t>(round_ends_.size());
  for (int64_t first = 0; first < whole.queries; first += merge_queries)
    merges_.push_back({first_task, splits, first, std::min(merge_queries, whole.queries - first), round});
  for (int64_t i = 0; i < splits; ++i) {
    Task& task = tasks_.emplace_back(whole);
    task.kv_begin = begin + i * split;
    task.kv_end = std::min(task.kv_begin + split, seen);
    task.partial = partials_used_;
    partials_used_ += floats;
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

void AttentionPlan::merge(const Merge& m, const KvCache& cache, int64_t layer, const AttentionRows& rows,
                          const Compute& compute) const {
  Task task = tasks_[static_cast<size_t>(m.begin)];
  const float* partial = partials_.as<float>() + task.partial + partial_floats(m.first);
  const int64_t stride = partial_floats(task.queries);
  task.first += m.first;
  task.queries = m.queries;
  compute.table().attention->merge(kernel_task(task, cache, layer, rows), partial, stride, m.splits);
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
    const size_t first = merge;
    while (merge < merges_.size() && merges_[merge].round == static_cast<int64_t>(round)) ++merge;
    compute.rows(static_cast<int64_t>(merge - first), [&](int64_t i, int) {
      this->merge(merges_[first + static_cast<size_t>(i)], cache, layer, rows, compute);
    });
    begin = round_ends_[round];
  }
}

}  // namespace sillar
