// The checks that stand between a caller's numbers and the cache's memory.
#include "model/batch.h"

#include <string>

#include "base/error.h"
#include "kernels/kernels.h"

namespace sillar {
namespace {

void require(bool condition, const std::string& message) {
  if (!condition) throw Error(ErrorKind::invalid_request, message);
}

}  // namespace

void check_batch(std::span<const SequenceInput> batch, const BatchLimits& limits) {
  for (const SequenceInput& s : batch) {
    const auto count = static_cast<int64_t>(s.tokens.size());
    require(count >= 1, "a sequence without tokens");
    require(s.past >= 0 && s.past <= limits.context && count <= limits.context - s.past,
            "a sequence reaches past the context of " + std::to_string(limits.context) + " tokens");
    require(s.outputs >= 0 && s.outputs <= count, "more outputs than new tokens");
    const int64_t needed = (s.past + count + kernels::kv_block_tokens - 1) / kernels::kv_block_tokens;
    require(static_cast<int64_t>(s.blocks.size()) >= needed, "a block table that does not cover its sequence");
    for (int64_t i = 0; i < needed; ++i) {
      require(s.blocks[static_cast<size_t>(i)] >= 0 && s.blocks[static_cast<size_t>(i)] < limits.kv_blocks,
              "a block number outside the KV cache");
    }
    for (int32_t token : s.tokens) require(token >= 0 && token < limits.vocab, "a token outside the vocabulary");
  }
}

}  // namespace sillar
