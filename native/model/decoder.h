// The one transformer graph of all decoder architectures: a step over a ragged batch of sequences.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "model/attention_plan.h"
#include "model/batch.h"
#include "model/compute.h"
#include "model/kv_cache.h"
#include "model/rope.h"
#include "model/weights.h"

namespace sillar {

// Receives logits of output rows [first, first + rows), each `vocab` floats; rows are numbered over
// the whole step, in the order of the sequences and their outputs.
using LogitsSink = std::function<void(int64_t first, int64_t rows, const float* logits)>;

class Decoder {
 public:
  // All arguments outlive the decoder. max_pass_tokens bounds the workspace; longer steps take several passes.
  Decoder(const DecoderWeights& weights, KvCache& cache, const Compute& compute, int64_t context,
          int64_t max_pass_tokens = 512);

  // The batch has passed check_batch().
  void step(std::span<const SequenceInput> batch, const LogitsSink& sink);

 private:
  void run_pass(const LogitsSink& sink);
  void number_rows();
  void embed();
  void attention_block(const DecoderLayer& layer, int64_t index);
  void keep_output_rows();
  void rotate(float* x, int64_t row, int64_t heads, const float* norm);
  void store(int64_t row, int64_t layer);
  void ffn_block(const DecoderLayer& layer);
  void output_rows(const LogitsSink& sink);
  const Piece& piece_of(int64_t row) const { return pieces_[static_cast<size_t>(row_piece_[static_cast<size_t>(row)])]; }

  const DecoderWeights& w_;
  KvCache& cache_;
  const Compute& compute_;
  Rope rope_;
  int64_t max_rows_;
  AttentionPlan attention_;

  std::vector<Piece> pieces_;
  std::vector<int32_t> row_piece_;  // of each row of the pass
  std::vector<int32_t> out_rows_;   // rows of the pass that make logits
  int64_t tokens_ = 0;              // rows of this pass
  int64_t outputs_done_ = 0;        // output rows of this step so far

  Buffer memory_;
  float* x_ = nullptr;              // [rows][hidden], the residual stream
  float *q_ = nullptr, *k_ = nullptr, *v_ = nullptr, *attended_ = nullptr;
  float *cos_ = nullptr, *sin_ = nullptr;  // [rows][rotary_dim / 2]
  float* logits_ = nullptr;         // [max_output_rows][vocab]
  kernels::Activations act_hidden_, act_attended_, act_ffn_;
};

}  // namespace sillar
