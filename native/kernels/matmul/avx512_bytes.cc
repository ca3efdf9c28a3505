// Prefill with weights of one byte (q8_128): they lie as the operands of vpdpbusd, so 64 rows x 384 columns (24 KiB,
// stays in L1) are read in place by up to 512 tokens. Register tile: 12 int32 accumulators of a block's 128 columns and
// 12 fp32 ones of all. Bound by the two pipes that do vpdpbusd, multiplication and FMA: a block and tile takes 384,
// 12 and 12 of them.
#include "kernels/matmul/avx512_parts.h"
#include "kernels/matmul/avx512_tile.h"

namespace sillar::kernels {
namespace {

constexpr PackedFormat format = packed_format(WeightType::q8_128);
constexpr int64_t block_bytes = packed_block_bytes(format);
constexpr int64_t groups_of_block = block_groups(format);
constexpr int64_t chunk_blocks = 3;  // 384 columns

struct Scratch {
  alignas(64) float scales[chunk_blocks * panel_vectors * tile_rows];  // [block][vector][row]
  alignas(64) Sums acc;
};
static_assert(sizeof(Scratch) <= panel_scratch_bytes_avx512);

// A chunk of columns of up to 64 rows.
struct Chunk {
  const uint8_t* weights;  // the first row tile's first block
  int64_t tile_bytes;      // from row tile to row tile
  const float* scales;
  int64_t blocks;
};

// A block's dot product begins with minus the zero point times the sum of the activations.
[[gnu::always_inline]] inline __m512i block_start(const int16_t* group_sums) {
  static_assert(groups_of_block == 4);
  const __m128i sums = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(group_sums));
  const __m128i pairs = _mm_madd_epi16(sums, _mm_set1_epi16(-format.zero_point));
  return _mm512_broadcastd_epi32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, _MM_SHUFFLE(2, 3, 0, 1))));
}

template <int vectors, int tokens>
[[gnu::always_inline]] inline void add_block(const Chunk& chunk, const Tokens& x, int64_t block,
                                             __m512 (&acc)[tokens][vectors]) {
  __m512i dots[tokens][vectors];
  unroll<tokens>([&](auto t) {
    const __m512i start = block_start(x.group_sums + t.value * x.groups + block * groups_of_block);
    unroll<vectors>([&](auto r) { dots[t.value][r.value] = start; });
  });
  const uint8_t* weights = chunk.weights + block * block_bytes;
  const int8_t* values = x.values + block * format.block_cols;
  for (int64_t g = 0; g < groups_of_block; ++g)
    add_dots<group_quads, 64>(weights + g * group_bytes(format), chunk.tile_bytes, values + g * group_cols, x.stride, dots);
  unroll<tokens>([&](auto t) {
    const __m512 x_scale = _mm512_set1_ps(x.scales[t.value * x.groups + block * groups_of_block]);
    unroll<vectors>([&](auto r) {
      const __m512 scale = _mm512_load_ps(chunk.scales + (block * vectors + r.value) * tile_rows);
      const __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[t.value][r.value]), scale);
      acc[t.value][r.value] = _mm512_fmadd_ps(sum, x_scale, acc[t.value][r.value]);
    });
  });
}

template <int vectors, int tokens>
[[gnu::flatten]] void tile(const Chunk& chunk, const Place& from, int64_t token) {
  const Place at = tile_at<vectors>(from, token);
  __m512 acc[tokens][vectors];
  begin_sums<vectors, tokens>(at, acc);
  for (int64_t block = 0; block < chunk.blocks; ++block) add_block<vectors, tokens>(chunk, at.x, block, acc);
  end_sums<vectors, tokens>(at, acc);
}

// `vectors` row tiles from `row` on, all columns, one block of tokens.
template <int vectors>
void multiply_rows(const MatmulTask& task, int64_t row, int64_t token, int64_t tokens, Scratch& scratch) {
  const int64_t tile_bytes = packed_tile_bytes(WeightType::q8_128, task.x->cols), blocks = tile_bytes / block_bytes;
  const auto* weights = reinterpret_cast<const uint8_t*>(task.weights->data) + row / tile_rows * tile_bytes;
  for (int64_t b = 0; b < blocks; b += chunk_blocks) {
    const int64_t count = blocks - b < chunk_blocks ? blocks - b : chunk_blocks;
    const Chunk chunk{weights + b * block_bytes, tile_bytes, scratch.scales, count};
    for (int64_t i = 0; i < count; ++i)
      for (int r = 0; r < vectors; ++r) {
        const uint8_t* block = chunk.weights + r * tile_bytes + i * block_bytes;
        _mm512_store_ps(scratch.scales + (i * vectors + r) * tile_rows, load_f16(block + d_offset(format)));
      }
    const Place at = place(task, row, token, b * groups_of_block, count * groups_of_block, scratch.acc);
    for_tiles(tokens, [&](auto n, int64_t first) { tile<vectors, n.value>(chunk, at, first); });
  }
}

}  // namespace

void matmul_bytes_avx512(const MatmulTask& task, std::byte* memory) {
  auto& scratch = *reinterpret_cast<Scratch*>(memory);
  for_panels(task, [&](auto vectors, int64_t row, int64_t token, int64_t tokens) {
    multiply_rows<vectors.value>(task, row, token, tokens, scratch);
  });
}

}  // namespace sillar::kernels
