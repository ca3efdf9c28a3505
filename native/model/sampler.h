// Draws a token from a row of logits. Seeded and counter-based: a draw depends on the row, the
// options, the seed and the position, on nothing else.
//
// Order: penalties, logit bias, allowed mask, temperature, top-k, min-p, top-p, draw. Penalties look at
// every token before the drawn one (Keskar et al. 2019 for repetition; the OpenAI API for the others).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace sillar {

struct SamplingOptions {
  float temperature = 0;  // 0: greedy
  int64_t top_k = 0;      // 0: all
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;  // tokens within the vocabulary
  uint64_t seed = 0;
  int64_t logprobs = 0;   // > 0: the drawn token's log-probability, and this many of the most likely

  bool penalises() const { return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0; }
};

struct DrawInput {
  const float* logits = nullptr;        // [vocab]
  const SamplingOptions* options = nullptr;
  std::span<const int32_t> history;     // tokens before the step's, within the vocabulary
  std::span<const int32_t> recent;      // the step's tokens up to this row
  const uint32_t* allowed = nullptr;    // bit mask, or null
  int64_t position = 0;                 // of the drawn token
  int32_t target = -1;                  // >= 0: nothing is drawn, this token of the vocabulary is reported
};

struct Draw {
  int32_t token = -1;                   // -1: the mask allows nothing
  float logprob = 0;                    // of `token` under the unmodified distribution; NaN unless asked for
  std::vector<int32_t> top_tokens;      // descending
  std::vector<float> top_logprobs;
};

class Sampler {
 public:
  Sampler(const kernels::VectorKernels& vector, int64_t vocab, int workers);
  // Workers draw at the same time, each with its own number.
  void draw(const DrawInput& input, int worker, Draw& out);

 private:
  struct Scratch {
    std::vector<float> logits;
    std::vector<float> weights;
    std::vector<int64_t> order;
    std::vector<int32_t> counts;  // zero between draws
  };
  int32_t argmax(const float* logits) const;
  void modify(const DrawInput& input, Scratch& s) const;
  void penalise(const DrawInput& input, Scratch& s) const;
  int32_t sample(const DrawInput& input, Scratch& s) const;
  int64_t candidates(const SamplingOptions& options, Scratch& s) const;
  void report(const DrawInput& input, Scratch& s, Draw& out) const;

  const kernels::VectorKernels& vector_;
  int64_t vocab_;
  std::vector<Scratch> scratch_;
};

}  // namespace sillar
