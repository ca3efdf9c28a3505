// Attention where the processor multiplies pairs of bf16 (vdpbf16ps): a bf16 cache is read as it lies, 32
// products an instruction; queries and weights are rounded to bf16. The other KV types use fp32 arithmetic.
#include "kernels/simd/avx512.h"

#include "kernels/attention/encoder_bf16.h"
#include "kernels/attention/entry.h"
#include "kernels/isa_entries.h"

namespace sillar::kernels {
namespace {

struct KindBf16Pairs {
  using Stored = uint16_t;
  using Row = uint16_t;
  using Vector = __m512bh;
  static constexpr int pack = 2;
  static constexpr bool fetches_ahead = false;
  SILLAR_INLINE Vector load_key(const uint16_t* p) { return (__m512bh)_mm512_loadu_si512(p); }
  SILLAR_INLINE Vector load_value(const uint16_t* p) { return load_key(p); }
  SILLAR_INLINE Vector broadcast(const uint16_t* row) {
    int pair;
    __builtin_memcpy(&pair, row, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
  }
  SILLAR_INLINE __m512 dot(__m512 acc, Vector a, Vector b) { return _mm512_dpbf16_ps(acc, a, b); }
  SILLAR_INLINE void store(uint16_t* p, __m512 x) { _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(x)); }
  SILLAR_INLINE void query(const float* q, float factor, int64_t n, uint16_t* row) {
    for (int64_t i = 0; i < n; i += 16) store(row + i, _mm512_mul_ps(_mm512_loadu_ps(q + i), _mm512_set1_ps(factor)));
  }
};

void attention(const AttentionTask& task, std::byte* scratch_bytes) {
  Scratch& scratch = *reinterpret_cast<Scratch*>(scratch_bytes);
  switch (task.layout.type) {
    case KvType::f16: return attention_fp32<KindF16>(task, scratch);
    case KvType::bf16:
      return few_rows(task) ? attention_from(task, PagedSource<Ahead<KindBf16Pairs>>{&task}, scratch)
                            : attention_from(task, PagedSource<KindBf16Pairs>{&task}, scratch);
    case KvType::int8: return attention_fp32<KindInt8>(task, scratch);
  }
}

void encoder_attention_pairs(const EncoderAttentionTask& task, std::byte* scratch) {
  if (fits_dense(task)) return encoder_attention_bf16(task, *reinterpret_cast<DenseScratch*>(scratch));
  encoder_attention(task, scratch);
}

constexpr AttentionKernels kernels = {Isa::avx512, kv_write, attention, merge, encoder_attention_pairs, query_tile_rows, sizeof(Scratch)};

}  // namespace

const AttentionKernels* attention_avx512_bf16() { return &kernels; }

}  // namespace sillar::kernels
