// A BERT-shaped encoder: post-norm, GELU, learned positions, bidirectional attention, pooled to one
// unit vector a text, or to one score a pair of texts (a cross-encoder: Nogueira and Cho 2019).
// Devlin et al. 2019; XLM-R differs only by its position table and vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/compute.h"
#include "model/weights.h"

namespace sillar {

struct EncoderLayer {
  Matrix q, k, v, o;
  const float *attn_norm = nullptr, *attn_norm_bias = nullptr;
  Matrix up, down;
  const float *ffn_norm = nullptr, *ffn_norm_bias = nullptr;
};

struct EncoderWeights {
  Hyperparameters h;
  WeightView token_embedding;     // read row by row from the file, as the next one
  WeightView position_embedding;  // row 0 is the first token's
  std::vector<float> type_embedding;  // [types][hidden], added to every token; zeros where there is none
  const float *embedding_norm = nullptr, *embedding_norm_bias = nullptr;
  std::vector<EncoderLayer> layers;
  Matrix pooler;                 // these three where pooling is rank
  const float* score = nullptr;  // [hidden]
  float score_bias = 0;
  WeightStorage storage;

  int64_t token_types() const { return static_cast<int64_t>(type_embedding.size()) / h.hidden; }
};

uint64_t encoder_weight_bytes(const ModelFile& file);
EncoderWeights load_encoder_weights(const ModelFile& file, const Compute& compute, const LoadProgress& progress);

class Encoder {
 public:
  // The arguments outlive the encoder. A pass takes at most max_pass_tokens; a text is never cut.
  Encoder(const EncoderWeights& weights, const Compute& compute, int64_t max_pass_tokens = 2048);

  int64_t dim() const { return w_.h.hidden; }
  bool scores_pairs() const { return w_.h.pooling == Pooling::rank; }
  int64_t max_tokens() const { return w_.h.context; }
  // texts: each 1 .. max_tokens() tokens within the vocabulary (Error(invalid_request) otherwise).
  // out: [texts][dim()], unit length. tokens, where not null: [tokens of all texts, in their order][dim()], each
  // token's own last hidden state at unit length. Only where not scores_pairs().
  void encode(std::span<const std::span<const int32_t>> texts, float* out, float* tokens = nullptr);
  // The same texts, each a pair: `first[i]` tokens of type 0 (1 or more), the rest of type 1.
  // out: [texts], the classifier's value. Only where scores_pairs().
  void score(std::span<const std::span<const int32_t>> texts, std::span<const int32_t> first, float* out);

 private:
  struct Text {
    int64_t row, count, index, first;
  };
  // Texts [first, last) of the pass, whose attention is one task (times groups of heads).
  struct Chunk {
    size_t first, last;
  };
  void check(std::span<const std::span<const int32_t>> texts) const;
  // `first` empty: every token is of type 0.
  void run(std::span<const std::span<const int32_t>> texts, std::span<const int32_t> first, float* out,
           float* tokens);
  // `tokens`, where not null, moves on past what the pass wrote.
  void run_pass(std::span<const std::span<const int32_t>> texts, float* out, float*& tokens);
  void embed(std::span<const std::span<const int32_t>> texts);
  void make_chunks();
  void attention_block(const EncoderLayer& layer);
  // Heads [head, head + heads) of the texts of one chunk: from quantised hidden states to quantised outputs.
  void attend(const EncoderLayer& layer, const Chunk& chunk, int64_t head, int64_t heads, int worker);
  // What follows attention depends on nothing but its row: all of it for rows [begin, end), on one worker ...
  void transform_rows(const EncoderLayer& layer, int64_t begin, int64_t end, int worker);
  // ... or step by step with all workers, for few rows.
  void transform_together(const EncoderLayer& layer);
  // x = norm(x), and its quantised copy in act_hidden_.
  void normalize(const float* weight, const float* bias);
  // The pass's rows at unit length; returns where the next ones go.
  float* copy_tokens(float* out) const;
  void pool_texts(float* out);
  void rank_texts(float* out);

  const EncoderWeights& w_;
  const Compute& compute_;
  int64_t max_rows_;
  int64_t tokens_ = 0;
  std::vector<Text> texts_;
  std::vector<Chunk> chunks_;
  int64_t narrow_heads_;  // the fewest heads whose columns are whole quantisation groups
  int64_t wide_heads_;    // about 64 columns
  int64_t chunk_rows_;    // of the longest chunk
  Buffer memory_;
  float* x_ = nullptr;
  std::vector<float*> heads_;  // a worker's q, k, v and output of a group of heads
  kernels::Activations act_hidden_, act_attended_, act_ffn_;
};

}  // namespace sillar
