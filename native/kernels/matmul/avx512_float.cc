// Float weights, kept as they are in the file: fp32 FMA, one input after the other.
//
// Packed [column][16 rows]; a panel of 64 rows x 64 columns is widened to fp32 once (16 KiB), then tiles of
// 4 row vectors x 6 tokens. Each output is one chain of FMAs, so the tile's 24 accumulators hide its latency.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_unpack.h"

namespace sillar::kernels {
namespace {

constexpr int64_t chunk_cols = 64;
constexpr int64_t token_block = 512;
constexpr int panel_vectors = 4;
constexpr int token_tile = 6;
constexpr int64_t stream_tokens_max = 4;

struct Scratch {
  float panel[chunk_cols * panel_vectors * tile_rows];
  float acc[token_block * panel_vectors * tile_rows];
};
static_assert(sizeof(Scratch) <= panel_scratch_bytes_avx512);

template <WeightType type>
[[gnu::always_inline]] inline __m512 load_weights(const std::byte* p) {
  if constexpr (type == WeightType::f32) return _mm512_loadu_ps(p);
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  if constexpr (type == WeightType::f16) return _mm512_cvtph_ps(halves);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

template <WeightType type>
void widen(const PackedMatrix& w, int64_t row, int vectors, int64_t col, int64_t cols, float* panel) {
  const int64_t size = float_bytes(type) * tile_rows;
  for (int r = 0; r < vectors; ++r) {
    const std::byte* from = w.data + ((row / tile_rows + r) * w.cols + col) * size;
    for (int64_t c = 0; c < cols; ++c)
      _mm512_store_ps(panel + (c * vectors + r) * tile_rows, load_weights<type>(from + c * size));
  }
}

template <int vectors, int tokens>
void tile(const float* panel, const float* x, int64_t stride, int64_t cols, bool first, float* out) {
  __m512 acc[tokens][vectors];
  unroll<tokens>([&](auto t) {
    unroll<vectors>([&](auto r) {
      acc[t.value][r.value] =
          first ? _mm512_setzero_ps() : _mm512_load_ps(out + (t.value * vectors + r.value) * tile_rows);
    });
  });
  for (int64_t c = 0; c < cols; ++c) {
    __m512 w[vectors];
    unroll<vectors>([&](auto r) { w[r.value] = _mm512_load_ps(panel + (c * vectors + r.value) * tile_rows); });
    unroll<tokens>([&](auto t) {
      const __m512 value = _mm512_set1_ps(x[t.value * stride + c]);
      unroll<vectors>([&](auto r) {
        acc[t.value][r.value] = _mm512_fmadd_ps(w[r.value], value, acc[t.value][r.value]);
      });
    });
  }
  unroll<tokens>([&](auto t) {
    unroll<vectors>([&](auto r) {
      _mm512_store_ps(out + (t.value * vectors + r.value) * tile_rows, acc[t.value][r.value]);
    });
  });
}

// `tokens` tokens, the weights read once in the order they lie and widened where they are used.
template <WeightType type, int vectors, int tokens>
void stream(const MatmulTask& task, int64_t row, int64_t token) {
  const int64_t cols = task.x->cols, size = float_bytes(type) * tile_rows;
  const std::byte* packed = task.weights->data + row / tile_rows * cols * size;
  const float* x = task.x->f32 + token * cols;
  __m512 acc[tokens][vectors];
  unroll<tokens>([&](auto t) { unroll<vectors>([&](auto r) { acc[t.value][r.value] = _mm512_setzero_ps(); }); });
  for (int64_t c = 0; c < cols; ++c)
    unroll<vectors>([&](auto r) {
      const __m512 w = load_weights<type>(packed + (r.value * cols + c) * size);
      unroll<tokens>([&](auto t) {
        acc[t.value][r.value] = _mm512_fmadd_ps(w, _mm512_set1_ps(x[t.value * cols + c]), acc[t.value][r.value]);
      });
    });
  unroll<tokens>([&](auto t) {
    unroll<vectors>([&](auto r) {
      const int64_t at = row + r.value * tile_rows;
      store_rows(acc[t.value][r.value], task.bias ? task.bias + at : nullptr, task.add_to_out,
                 row_mask(task.row_end - at), task.out + (token + t.value) * task.out_stride + at);
    });
  });
}

template <WeightType type, int vectors>
void multiply_panels(const MatmulTask& task, int64_t row, int64_t token, int64_t tokens, Scratch& scratch) {
  const Activations& a = *task.x;
  for (int64_t col = 0; col < a.cols; col += chunk_cols) {
    const int64_t cols = a.cols - col < chunk_cols ? a.cols - col : chunk_cols;
    widen<type>(*task.weights, row, vectors, col, cols, scratch.panel);
    const float* x = a.f32 + token * a.cols + col;
    float* out = scratch.acc;
    int64_t left = tokens;
    const auto advance = [&](int64_t n) { x += n * a.cols, out += n * vectors * tile_rows, left -= n; };
    for (; left >= token_tile; advance(token_tile))
      tile<vectors, token_tile>(scratch.panel, x, a.cols, cols, col == 0, out);
    for (; left >= 2; advance(2)) tile<vectors, 2>(scratch.panel, x, a.cols, cols, col == 0, out);
    if (left == 1) tile<vectors, 1>(scratch.panel, x, a.cols, cols, col == 0, out);
  }
  for (int64_t t = 0; t < tokens; ++t)
    for (int r = 0; r < vectors; ++r) {
      const int64_t at = row + r * tile_rows;
      store_rows(_mm512_load_ps(scratch.acc + (t * vectors + r) * tile_rows), task.bias ? task.bias + at : nullptr,
                 task.add_to_out, row_mask(task.row_end - at), task.out + (token + t) * task.out_stride + at);
    }
}

template <WeightType type, int vectors>
void multiply_rows(const MatmulTask& task, int64_t row, Scratch& scratch) {
  int64_t token = task.token_begin;
  if (task.token_end - token <= stream_tokens_max) {
    for (; task.token_end - token >= 2; token += 2) stream<type, vectors, 2>(task, row, token);
    if (token < task.token_end) stream<type, vectors, 1>(task, row, token);
    return;
  }
  for (; token < task.token_end; token += token_block) {
    const int64_t tokens = task.token_end - token < token_block ? task.token_end - token : token_block;
    multiply_panels<type, vectors>(task, row, token, tokens, scratch);
  }
}

template <WeightType type>
void multiply(const MatmulTask& task, Scratch& scratch) {
  for (int64_t row = task.row_begin; row < task.row_end;) {
    const int64_t tiles = (task.row_end - row + tile_rows - 1) / tile_rows;
    if (tiles >= 4) multiply_rows<type, 4>(task, row, scratch), row += 4 * tile_rows;
    else if (tiles >= 2) multiply_rows<type, 2>(task, row, scratch), row += 2 * tile_rows;
    else multiply_rows<type, 1>(task, row, scratch), row += tile_rows;
  }
}

}  // namespace

void matmul_float_avx512(const MatmulTask& task, std::byte* memory) {
  auto& scratch = *reinterpret_cast<Scratch*>(memory);
  switch (task.weights->type) {
    case WeightType::f32: return multiply<WeightType::f32>(task, scratch);
    case WeightType::f16: return multiply<WeightType::f16>(task, scratch);
    default: return multiply<WeightType::bf16>(task, scratch);
  }
}

}  // namespace sillar::kernels
