// Attention in fp32 arithmetic over every KV type, AVX-512 without bf16: bound by the fused multiply-adds of multiply().
#include "kernels/simd/avx512.h"

#include "kernels/attention/entry.h"
#include "kernels/isa_entries.h"

namespace sillar::kernels {
namespace {

void attention(const AttentionTask& task, std::byte* scratch_bytes) {
  Scratch& scratch = *reinterpret_cast<Scratch*>(scratch_bytes);
  switch (task.layout.type) {
    case KvType::f16: return attention_fp32<KindF16>(task, scratch);
    case KvType::bf16: return attention_fp32<KindBf16>(task, scratch);
    case KvType::int8: return attention_fp32<KindInt8>(task, scratch);
  }
}

constexpr AttentionKernels kernels = {Isa::avx512, kv_write, attention, merge, encoder_attention, query_tile_rows, sizeof(Scratch)};

}  // namespace

const AttentionKernels* attention_avx512() { return &kernels; }

}  // namespace sillar::kernels
