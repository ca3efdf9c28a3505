// Deals kernels to the thread pool: matrix products by tiles, row-wise work by rows. The decoder and
// the encoder are written in its terms.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "model/tensor_loader.h"

namespace sillar {

// out[token][row] = weights * x (+ bias), or += with add_to_out.
struct Product {
  const Matrix* matrix = nullptr;
  const kernels::Activations* x = nullptr;
  float* out = nullptr;
  int64_t out_stride = 0;
  bool add_to_out = false;
};

// How a norm's result is quantised: rows of x, normalised with `weight` (and `bias`: layer norm).
struct Norm {
  const float* weight = nullptr;
  const float* bias = nullptr;  // null: RMS norm
  float eps = 0;
};

// Says which matrices read x, before it is written: some types need coarser scales, or whole blocks.
inline void add_reader(kernels::Activations& x, const Matrix& m) {
  x.scale_cols = std::max(x.scale_cols, kernels::activation_scale_cols(m.packed.type));
  x.shares_wanted = x.shares_wanted || kernels::wants_shares(m.packed.type);
}
inline void set_readers(kernels::Activations& x, std::initializer_list<const Matrix*> readers) {
  x.scale_cols = 0;
  x.shares_wanted = false;
  for (const Matrix* m : readers) add_reader(x, *m);
}

class Compute {
 public:
  // row_floats: the longest row that a worker normalises.
  Compute(const kernels::Table& table, ThreadPool& pool, int64_t row_floats);

  const kernels::Table& table() const { return table_; }
  ThreadPool& pool() const { return pool_; }
  std::byte* matmul_scratch(int worker) const { return worker_memory(worker); }
  std::byte* attention_scratch(int worker) const { return worker_memory(worker) + matmul_bytes_; }
  float* row(int worker) const;

  // Calls fn(row, worker) for rows [0, rows); a few rows stay on the calling thread, because waking
  // the others costs more.
  template <class F>
  void rows(int64_t rows, const F& fn) const {
    if (rows <= inline_rows) {
      for (int64_t r = 0; r < rows; ++r) fn(r, 0);
      return;
    }
    const int64_t share = (rows + 8 * pool_.size() - 1) / (8 * pool_.size());
    pool_.run((rows + share - 1) / share, [&](int64_t task, int worker) {
      const int64_t end = task * share + share < rows ? task * share + share : rows;
      for (int64_t r = task * share; r < end; ++r) fn(r, worker);
    });
  }

  // Several products over the same tokens in one dealing, so that the pool meets once.
  void products(std::span<const Product> products, int64_t tokens) const;

  // A part of one product, on the calling worker alone. part: rows and tokens; the rest is filled in from p.
  void product_part(const Product& p, kernels::MatmulTask part, int worker) const;

  // out = quantised silu(gate * x) * (up * x), or gelu(up * x) without a gate; tile by tile, so that
  // the wide intermediate stays in cache.
  void expanded(const Matrix* gate, const Matrix& up, const kernels::Activations& x, int64_t tokens,
                const kernels::Activations& out) const;
  // Tokens [begin, end) of the same without a gate, on the calling worker alone; at most max_part_tokens.
  void expanded_part(const Matrix& up, const kernels::Activations& x, int64_t begin, int64_t end,
                     const kernels::Activations& out, int worker) const;

  // out row t = quantised norm of x row t; `copy` (x itself, say) gets it in fp32 where it is not null.
  void normalized(const float* x, int64_t cols, const Norm& norm, int64_t tokens, const kernels::Activations& out,
                  float* copy = nullptr) const;
  // Rows [begin, end) of the same, on the calling worker alone.
  void normalized_part(const float* x, int64_t cols, const Norm& norm, int64_t begin, int64_t end,
                       const kernels::Activations& out, float* copy, int worker) const;

  // out row t = quantised x row t.
  void quantized(const float* x, int64_t cols, int64_t tokens, const kernels::Activations& out) const;

  static constexpr int64_t inline_rows = 4;
  static constexpr int64_t max_part_tokens = 256;

 private:
  void expand_tile(const Matrix* gate, const Matrix& up, kernels::MatmulTask part, const kernels::Activations& out,
                   int worker) const;
  std::byte* worker_memory(int worker) const { return scratch_.data() + static_cast<size_t>(worker) * worker_bytes_; }

  kernels::Table table_;
  ThreadPool& pool_;
  size_t matmul_bytes_, attention_bytes_, row_bytes_, tile_bytes_, worker_bytes_;
  Buffer scratch_;
};

}  // namespace sillar
