// The tables of operations: the only header of kernels/ that other folders include, next to cpu.h.
// A table is chosen once, when a model is loaded; hot code calls its pointers.
//
// Numerics, the same on every ISA so that results do not depend on ISA, batch or tiling:
//   activations are int8 with one fp32 scale for each 32 of them, or each 128 where q8_128 reads them, 256 where
//   a k-quant does. A group of 32 weights (q8_128: 128) is d * (q - zero_point) or d * q + m. Its dot product of
//   integers (the zero point taken off) is exact. For each group of q5_0, q5_1, q8_0 and q8_128, in ascending order:
//     t = float(dot) * d;  t = fma(float(sum of activations), m, t)       (types with a min)
//     acc = fma(t, activation_scale, acc)
//   K-quants have integer scales and mins, for 32 weights each (16 in q2_k, q3_k, q6_k), and a d and m for
//   a block of 256; their sums over a block are exact in int32. For each block, in ascending order:
//     t = float(sum of scale_i * dot_i) * d;  t = fma(float(sum of min_i * sum_i), -m, t)
//     acc = fma(t, activation_scale, acc)
//   q4_0 and q4_1 (as m + 8 d + d * (q - 8)) have their d and m as integers of 12 bits and sign in a unit of the row.
//   A group of activations has its scale as a share, in 1/32768, of its block's: 256 columns. An integer times
//   a share is rounded to int16: (integer * share + 2^14) >> 15. For each block, in ascending order:
//     total = sum of d_i * (dot_i times share_i) + m_i * (8 * sum_i times share_i)                  (exact in int32)
//     acc = fma(float(total), block_scale, acc)                             and in the end acc * unit
//   Float weights: acc = fma(w, x, acc), one input after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/tensor.h"
#include "kernels/cpu.h"

namespace sillar::kernels {

enum class Isa : int { reference = 0, avx2 = 1, avx512 = 2, amx = 3 };
const char* isa_name(Isa isa);

// ---------------------------------------------------------------- matmul: out = x * W^T
// One packed layout for all ISAs (matmul/packed.h draws it): 16 output rows side by side, 4 input
// columns deep, the group scales in the same stream. rows are padded to a multiple of 16 with zeros.
struct PackedMatrix {
  WeightType type = WeightType::f32;
  int64_t rows = 0;
  int64_t cols = 0;
  const std::byte* data = nullptr;
};
// Raised with every change of the layout: packed weights are kept on disk.
constexpr uint32_t packed_layout_version = 5;
size_t packed_bytes(WeightType type, int64_t rows, int64_t cols);
// What weights are packed to where many tokens pass them each time, as in an encoder: q8_128, whose products cost a
// sixth less, for the 4- and 5-bit types with blocks of 32, and for q8_0 where 128 columns have one scale anyway, as in
// files that come from a model with a scale for each row. Others stay what they are.
WeightType type_for_batches(const WeightView& src);
// Packs rows [row_begin, row_end) of src as `type`, its own or type_for_batches(); row_begin a multiple of 16.
// dst is the whole matrix's buffer.
void pack_rows(const WeightView& src, WeightType type, int64_t row_begin, int64_t row_end, std::byte* dst);

// Activations of a batch: fp32 rows for float weights, int8 groups for quantised ones. Memory is the
// caller's; activation_bytes() says how much, bind_activations() lays the pointers into it.
struct Activations {
  int64_t tokens = 0;
  int64_t cols = 0;
  float* f32 = nullptr;      // [tokens][cols], kept only where a float matrix reads it; else null
  int8_t* values = nullptr;  // [tokens][value_stride()]
  float* scales = nullptr;   // [tokens][cols / 32]
  int16_t* sums = nullptr;   // [tokens][cols / 16], the sum of each 16 values
  int16_t* group_sums = nullptr;    // [tokens][cols / 32], the sum of each 32 values
  float* group_sums_f32 = nullptr;  // the same, as floats
  // For q4_0 and q4_1, written where they are among the readers; an odd last group is filled up with zeros:
  int8_t* pairs = nullptr;        // [tokens][cols / 64, rounded up][8 quads][2 groups][4 values]
  int32_t* starts = nullptr;      // [tokens][cols / 32, rounded up to an even number]: -8 * sum of 32, the zero point's part
  int16_t* shares = nullptr;      // the same shape
  int16_t* sum_shares = nullptr;  // the same: 8 * sum of 32 times its share
  float* block_scales = nullptr;  // [tokens][cols / 256, rounded up]
  // What the readers need:
  int64_t scale_cols = 32;     // so many columns have one scale; all types read coarser ones as well
  bool shares_wanted = false;  // by q4_0 and q4_1
  // Bytes from row to row, an odd number of cache lines: a power of two would put all rows into a few sets of the caches.
  int64_t value_stride() const { return (cols + 63) / 64 * 64 | 64; }
  // So many columns are quantised together.
  int64_t block_cols() const { return shares_wanted ? 256 : scale_cols; }
};
// 256 for k-quants, 128 for q8_128, 32 for other types.
int64_t activation_scale_cols(WeightType type);
bool wants_shares(WeightType type);
size_t activation_bytes(int64_t tokens, int64_t cols, bool keep_f32);
Activations bind_activations(std::byte* memory, int64_t tokens, int64_t cols, bool keep_f32);

struct MatmulTask {
  const PackedMatrix* weights = nullptr;
  const Activations* x = nullptr;
  int64_t row_begin = 0, row_end = 0;      // multiples of 16, or the end of the matrix
  int64_t token_begin = 0, token_end = 0;
  float* out = nullptr;                    // out[token * out_stride + row]
  int64_t out_stride = 0;
  const float* bias = nullptr;             // [rows], added at the end; or null
  bool add_to_out = false;                 // residual: out += result instead of out = result
};

// How to deal a product to threads: tasks of `rows` x `tokens`, row-major over row tiles.
struct Tiling {
  int64_t rows = 0;
  int64_t tokens = 0;
};

struct MatmulKernels {
  Isa isa;
  // Quantises x[0 .. cols) into row `token` of out (and copies it into out.f32 where that is kept).
  // [col_begin, col_end): multiples of out.block_cols(), or the row's end; a part of the row, so that an epilogue can
  // quantise its tile.
  void (*quantize)(const float* x, int64_t col_begin, int64_t col_end, int64_t token, const Activations& out);
  void (*matmul)(const MatmulTask& task, std::byte* scratch);
  // One dequantised row of file-order weights: out[cols].
  void (*dequantize_row)(const WeightView& src, int64_t row, float* out);
  Tiling (*tiling)(const PackedMatrix& weights, int64_t tokens, int threads);
  size_t scratch_bytes;  // a worker's, 64-byte aligned
};

// ---------------------------------------------------------------- attention over a paged KV cache
enum class KvType : int { f16 = 0, bf16 = 1, int8 = 2 };
constexpr int64_t kv_block_tokens = 16;

// One layer's cache: block b's keys start at k + b * block_bytes, its values at v + b * block_bytes.
// Inside a block: [kv_head][ISA-independent tile of 16 tokens], drawn in attention/layout.h.
struct KvLayout {
  KvType type = KvType::f16;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;  // a multiple of 16, at most 256
};
size_t kv_block_bytes(const KvLayout& layout);  // of keys, and of values: the same

struct AttentionTask {
  KvLayout layout;
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  const int32_t* blocks = nullptr;    // the sequence's block table: token t lies in blocks[t / 16], slot t % 16
  int64_t first_position = 0;         // of the query rows below, in the sequence
  int64_t queries = 0;                // query rows of this task; row i sees positions <= first_position + i
  int64_t window = 0;                 // sliding window: row at position p sees p - window < t <= p; 0: all
  int64_t heads_per_kv = 0;           // GQA: query heads of this kv head
  int64_t kv_head = 0;
  float scale = 0;                    // 1 / sqrt(head_dim), usually
  const float* q = nullptr;           // q[row * q_stride + h * head_dim], h in [0, heads_per_kv): already at kv_head's first query head
  int64_t q_stride = 0;
  float* out = nullptr;               // same shape, out_stride
  int64_t out_stride = 0;
  // Split over KV: only positions [kv_begin, kv_end) (multiples of split size); partial results go to
  // `partial` as [row][head][head_dim + 2] (unnormalised output, running max, running sum). null: whole.
  int64_t kv_begin = 0, kv_end = 0;   // 0, 0: all
  float* partial = nullptr;
};
constexpr int64_t kv_split_tokens = 512;  // fixed, so that results do not depend on the batch

// Dense bidirectional attention of an encoder: one sequence, one head.
struct EncoderAttentionTask {
  const float* q = nullptr;  // [tokens] rows, each head_dim long, `stride` apart; k and v alike
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t stride = 0;
  int64_t tokens = 0;
  int64_t head_dim = 0;
  float scale = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};

struct AttentionKernels {
  Isa isa;
  // Writes one token's keys and values ([kv_heads * head_dim] each) into slot `slot` of its block.
  void (*kv_write)(const KvLayout& layout, const float* k, const float* v, std::byte* k_block,
                   std::byte* v_block, int64_t slot);
  void (*attention)(const AttentionTask& task, std::byte* scratch);
  // Merges `splits` partial results (in ascending KV order, partial i at partial + i * partial_stride floats).
  void (*merge)(const AttentionTask& task, const float* partial, int64_t partial_stride, int64_t splits);
  void (*encoder_attention)(const EncoderAttentionTask& task, std::byte* scratch);
  int64_t query_tile;    // best number of query rows a prefill task
  size_t scratch_bytes;  // a worker's, for head_dim <= 256, heads_per_kv <= 64 and query_tile rows
};

// ---------------------------------------------------------------- vector operations on fp32 rows
enum class RopeStyle : int { interleaved = 0, halves = 1 };  // llama's GGUF order; neox's (qwen)

struct VectorKernels {
  Isa isa;
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out);
  // cos, sin: [rotary_dim / 2], of this row's position; rotates `heads` heads of head_dim in place.
  void (*rope)(float* x, const float* cos, const float* sin, int64_t heads, int64_t head_dim,
               int64_t rotary_dim, RopeStyle style);
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out);  // silu(gate) * up
  void (*gelu)(const float* x, int64_t n, float* out);                           // by erf, absolute error 3e-7
  void (*add)(const float* x, int64_t n, float* out);                            // out += x
  void (*softmax)(const float* x, int64_t n, float scale, float* out);
  float (*max)(const float* x, int64_t n);
  float (*dot)(const float* a, const float* b, int64_t n);
  // scores[i] = dot(query, row i) over fp16 rows (bit patterns): the vector index's scan.
  void (*scan_f16)(const float* query, const uint16_t* rows, int64_t n_rows, int64_t dim, float* scores);
  // The k largest of scores, descending, ties by lower index; returns how many.
  int64_t (*top_k)(const float* scores, int64_t n, int64_t k, int64_t* indices);
};

// ---------------------------------------------------------------- the choice
struct Table {
  const MatmulKernels* matmul = nullptr;
  const AttentionKernels* attention = nullptr;
  const VectorKernels* vector = nullptr;
};

// The best table this processor runs; `isa` ("reference", "avx2", "avx512", "amx"; empty: best) is an
// upper limit. Throws Error(unsupported) for an unknown name or one this processor does not have.
Table choose_table(const Cpu& cpu, std::string_view isa);
// Every ISA of each operation that this processor can run, for tests and `doctor`.
const MatmulKernels* matmul_kernels(const Cpu& cpu, Isa isa);       // null: not here
const AttentionKernels* attention_kernels(const Cpu& cpu, Isa isa);
const VectorKernels* vector_kernels(const Cpu& cpu, Isa isa);

}  // namespace sillar::kernels
