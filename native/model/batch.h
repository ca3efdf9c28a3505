// A step's input, and the part of it that one pass of the decoder takes.
#pragma once

#include <cstdint>
#include <span>

namespace sillar {

// New tokens of one sequence at positions past, past + 1, ...; the last `outputs` of them make logits.
struct SequenceInput {
  std::span<const int32_t> tokens;
  int64_t past = 0;
  std::span<const int32_t> blocks;  // block table: covers positions 0 .. past + tokens.size() - 1
  int64_t outputs = 0;
};

// `count` tokens of a sequence from its new token `begin` on, in rows row .. row + count of a pass.
struct Piece {
  const SequenceInput* sequence = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
  int64_t row = 0;

  int64_t position() const { return sequence->past + begin; }
  // First token of this piece (from `begin` on) that makes logits.
  int64_t first_output() const {
    const int64_t first = static_cast<int64_t>(sequence->tokens.size()) - sequence->outputs - begin;
    return first < 0 ? 0 : first < count ? first : count;
  }
};

// Bounds of a model and its cache.
struct BatchLimits {
  int64_t vocab = 0;
  int64_t context = 0;
  int64_t kv_blocks = 0;
};

// Throws Error(invalid_request) for what would reach outside the model or its cache.
void check_batch(std::span<const SequenceInput> batch, const BatchLimits& limits);

}  // namespace sillar
