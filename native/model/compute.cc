// Tile arithmetic: a flat task number becomes a matrix, a range of rows and a range of tokens.
#include "model/compute.h"

#include <algorithm>
#include <cassert>

namespace sillar {
namespace {

constexpr int64_t max_tile_floats = 64 * 1024;  // a worker's two tiles of expanded(): half an L2
constexpr int64_t part_rows = 128;  // two panels, four quantisation groups
constexpr int max_products = 4;
static_assert(256 * Compute::max_part_tokens <= max_tile_floats);

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

struct Grid {
  int64_t rows, tokens;              // of one tile
  int64_t row_tiles, token_tiles;
  int64_t tasks() const { return row_tiles * token_tiles; }
};

Grid make_grid(kernels::Tiling tiling, int64_t rows, int64_t tokens) {
  return {tiling.rows, tiling.tokens, (rows + tiling.rows - 1) / tiling.rows, (tokens + tiling.tokens - 1) / tiling.tokens};
}

// Rows vary fastest: a worker's share is of few tokens, whose results it then finds near.
void place(const Grid& grid, int64_t task, int64_t rows, int64_t tokens, kernels::MatmulTask& out) {
  const int64_t row_tile = task % grid.row_tiles;
  const int64_t token_tile = task / grid.row_tiles;
  out.row_begin = row_tile * grid.rows;
  out.row_end = std::min(out.row_begin + grid.rows, rows);
  out.token_begin = token_tile * grid.tokens;
  out.token_end = std::min(out.token_begin + grid.tokens, tokens);
}

}  // namespace

Compute::Compute(const kernels::Table& table, ThreadPool& pool, int64_t row_floats)
    : table_(table),
      pool_(pool),
      matmul_bytes_(aligned(table.matmul->scratch_bytes)),
      attention_bytes_(aligned(table.attention->scratch_bytes)),
      row_bytes_(aligned(static_cast<size_t>(row_floats) * sizeof(float))),
      tile_bytes_(2 * max_tile_floats * sizeof(float)),
      worker_bytes_(matmul_bytes_ + attention_bytes_ + row_bytes_ + tile_bytes_),
      scratch_(worker_bytes_ * static_cast<size_t>(pool.size())) {}

float* Compute::row(int worker) const {
  return reinterpret_cast<float*>(worker_memory(worker) + matmul_bytes_ + attention_bytes_);
}

void Compute::products(std::span<const Product> products, int64_t tokens) const {
  assert(products.size() <= max_products);
  Grid grids[max_products];
  int64_t ends[max_products];
  int64_t tasks = 0;
  for (size_t i = 0; i < products.size(); ++i) {
    const kernels::PackedMatrix& w = products[i].matrix->packed;
    grids[i] = make_grid(table_.matmul->tiling(w, tokens, pool_.size()), w.rows, tokens);
    tasks += grids[i].tasks();
    ends[i] = tasks;
  }
  pool_.run(tasks, [&](int64_t task, int worker) {
    size_t i = 0;
    while (task >= ends[i]) ++i;
    kernels::MatmulTask part;
    place(grids[i], task - (i == 0 ? 0 : ends[i - 1]), products[i].matrix->packed.rows, tokens, part);
    product_part(products[i], part, worker);
  });
}

void Compute::product_part(const Product& p, kernels::MatmulTask part, int worker) const {
  part.weights = &p.matrix->packed;
  part.x = p.x;
  part.out = p.out;
  part.out_stride = p.out_stride;
  part.bias = p.matrix->bias;
  part.add_to_out = p.add_to_out;
  table_.matmul->matmul(part, matmul_scratch(worker));
}

void Compute::expanded(const Matrix* gate, const Matrix& up, const kernels::Activations& x, int64_t tokens,
                       const kernels::Activations& out) const {
  const int64_t width = up.packed.rows;
  kernels::Tiling tiling = table_.matmul->tiling(up.packed, tokens, pool_.size());
  tiling.rows = std::min((tiling.rows + out.block_cols() - 1) / out.block_cols() * out.block_cols(), width);
  tiling.tokens = std::clamp<int64_t>(max_tile_floats / tiling.rows, 1, tiling.tokens);
  const Grid grid = make_grid(tiling, width, tokens);
  pool_.run(grid.tasks(), [&](int64_t task, int worker) {
    kernels::MatmulTask part;
    place(grid, task, width, tokens, part);
    part.x = &x;
    expand_tile(gate, up, part, out, worker);
  });
}

void Compute::expanded_part(const Matrix& up, const kernels::Activations& x, int64_t begin, int64_t end,
                            const kernels::Activations& out, int worker) const {
  assert(end - begin <= max_part_tokens);
  kernels::MatmulTask part;
  part.x = &x;
  part.token_begin = begin;
  part.token_end = end;
  const int64_t rows = std::max(part_rows, out.block_cols());
  for (int64_t row = 0; row < up.packed.rows; row += rows) {
    part.row_begin = row;
    part.row_end = std::min(row + rows, up.packed.rows);
    expand_tile(nullptr, up, part, out, worker);
  }
}

void Compute::expand_tile(const Matrix* gate, const Matrix& up, kernels::MatmulTask part,
                          const kernels::Activations& out, int worker) const {
  float* ups = row(worker) + row_bytes_ / sizeof(float);
  float* gates = ups + max_tile_floats;
  part.out_stride = part.row_end - part.row_begin;
  const auto product = [&](const Matrix& matrix, float* tile) {
    part.weights = &matrix.packed;
    part.bias = matrix.bias;
    part.out = tile - part.token_begin * part.out_stride - part.row_begin;
    table_.matmul->matmul(part, matmul_scratch(worker));
  };
  if (gate != nullptr) product(*gate, gates);
  product(up, ups);
  for (int64_t t = part.token_begin; t < part.token_end; ++t) {
    const int64_t width = part.out_stride, at = (t - part.token_begin) * width;
    if (gate != nullptr) table_.vector->silu_mul(gates + at, ups + at, width, ups + at);
    else table_.vector->gelu(ups + at, width, ups + at);
    table_.matmul->quantize(ups + at - part.row_begin, part.row_begin, part.row_end, t, out);
  }
}

void Compute::normalized(const float* x, int64_t cols, const Norm& norm, int64_t tokens,
                         const kernels::Activations& out, float* copy) const {
  rows(tokens, [&](int64_t t, int worker) { normalized_part(x, cols, norm, t, t + 1, out, copy, worker); });
}

void Compute::normalized_part(const float* x, int64_t cols, const Norm& norm, int64_t begin, int64_t end,
                              const kernels::Activations& out, float* copy, int worker) const {
  for (int64_t t = begin; t < end; ++t) {
    float* y = copy == nullptr ? row(worker) : copy + t * cols;
    if (norm.bias == nullptr) {
      table_.vector->rms_norm(x + t * cols, norm.weight, norm.eps, cols, y);
    } else {
      table_.vector->layer_norm(x + t * cols, norm.weight, norm.bias, norm.eps, cols, y);
    }
    table_.matmul->quantize(y, 0, cols, t, out);
  }
}

void Compute::quantized(const float* x, int64_t cols, int64_t tokens, const kernels::Activations& out) const {
  rows(tokens, [&](int64_t t, int) { table_.matmul->quantize(x + t * cols, 0, cols, t, out); });
}

}  // namespace sillar
