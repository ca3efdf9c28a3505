// What a model file says about its transformer, checked. What differs between architectures is a
// row of a table in hyperparameters.cc.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/kernels.h"
#include "model/gguf.h"

namespace sillar {

enum class RopeScaling : int { none, linear, yarn };
enum class Pooling : int { mean = 1, cls = 2, rank = 4 };  // GGUF's numbers; rank: a cross-encoder's score

struct Hyperparameters {
  std::string architecture;
  std::string name;
  int64_t layers = 0;
  int64_t hidden = 0;     // embedding_length
  int64_t ffn = 0;        // feed_forward_length
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t context = 0;    // tokens the model was trained for
  int64_t vocab = 0;      // rows of token_embd
  int64_t window = 0;     // sliding window; 0: none
  float norm_eps = 0;

  int64_t rotary_dim = 0;
  kernels::RopeStyle rope_style = kernels::RopeStyle::interleaved;
  float rope_base = 10000;
  RopeScaling rope_scaling = RopeScaling::none;
  float rope_factor = 1;
  float rope_attention_factor = 1;   // YaRN: extra factor on cos and sin, as the file gives it
  int64_t rope_original_context = 0;

  Pooling pooling = Pooling::mean;   // encoders only

  int64_t q_dim() const { return heads * head_dim; }
  int64_t kv_dim() const { return kv_heads * head_dim; }
  bool is_encoder() const { return architecture == "bert"; }
};

// Throws Error(file_format) for nonsense and Error(unsupported) for what this engine does not run.
Hyperparameters read_hyperparameters(const Gguf& file);

}  // namespace sillar
