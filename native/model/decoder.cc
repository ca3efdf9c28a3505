// A layer meets the pool five times for a single token: q/k/v, attention, output, gate/up, down.
// Everything between is row-wise and stays on one thread when there are few rows.
#include "model/decoder.h"

#include <algorithm>
#include <cstring>

#include "model/layout.h"

namespace sillar {
namespace {

constexpr int64_t max_output_rows = 64;  // logits are made and drawn from in groups of this many rows

bool any_reads_f32(const DecoderWeights& w, std::initializer_list<Matrix DecoderLayer::*> matrices) {
  return std::any_of(w.layers.begin(), w.layers.end(), [&](const DecoderLayer& layer) {
    return std::any_of(matrices.begin(), matrices.end(), [&](auto m) { return (layer.*m).reads_f32(); });
  });
}

}  // namespace

Decoder::Decoder(const DecoderWeights& weights, KvCache& cache, const Compute& compute, int64_t context,
                 int64_t max_pass_tokens)
    : w_(weights),
      cache_(cache),
      compute_(compute),
      rope_(weights.h, weights.rope_factors),
      max_rows_(max_pass_tokens),
      attention_(weights.h, cache.layout(), compute, max_pass_tokens, context) {
  using L = DecoderLayer;
  const Hyperparameters& h = w_.h;
  const bool hidden_f32 = w_.output.reads_f32() || any_reads_f32(w_, {&L::q, &L::k, &L::v, &L::gate, &L::up});
  const auto lay_out = [&](std::byte* base) {
    Layout layout(base);
    x_ = layout.floats(max_rows_ * h.hidden);
    q_ = layout.floats(max_rows_ * h.q_dim());
    k_ = layout.floats(max_rows_ * h.kv_dim());
    v_ = layout.floats(max_rows_ * h.kv_dim());
    attended_ = layout.floats(max_rows_ * h.q_dim());
    cos_ = layout.floats(max_rows_ * rope_.half());
    sin_ = layout.floats(max_rows_ * rope_.half());
    logits_ = layout.floats(std::min(max_rows_, max_output_rows) * h.vocab);
    layout.activations(max_rows_, h.hidden, hidden_f32, act_hidden_);
    layout.activations(max_rows_, h.q_dim(), any_reads_f32(w_, {&L::o}), act_attended_);
    layout.activations(max_rows_, h.ffn, any_reads_f32(w_, {&L::down}), act_ffn_);
    return layout.used();
  };
  memory_ = Buffer(lay_out(nullptr));
  lay_out(memory_.data());
  pieces_.reserve(static_cast<size_t>(max_rows_));
  row_piece_.resize(static_cast<size_t>(max_rows_));
  out_rows_.reserve(static_cast<size_t>(max_rows_));
}

void Decoder::step(std::span<const SequenceInput> batch, const LogitsSink& sink) {
  outputs_done_ = 0;
  tokens_ = 0;
  pieces_.clear();
  for (const SequenceInput& sequence : batch) {
    const auto count = static_cast<int64_t>(sequence.tokens.size());
    for (int64_t begin = 0; begin < count;) {
      if (tokens_ == max_rows_) run_pass(sink);
      const int64_t part = std::min(count - begin, max_rows_ - tokens_);
      pieces_.push_back({&sequence, begin, part, tokens_});
      tokens_ += part;
      begin += part;
    }
  }
  if (tokens_ > 0) run_pass(sink);
}

void Decoder::run_pass(const LogitsSink& sink) {
  number_rows();
  embed();
  attention_.plan(pieces_);
  for (size_t i = 0; i < w_.layers.size() && tokens_ > 0; ++i) {
    attention_block(w_.layers[i], static_cast<int64_t>(i));
    if (tokens_ > 0) ffn_block(w_.layers[i]);
  }
  output_rows(sink);
  pieces_.clear();
  tokens_ = 0;
}

void Decoder::number_rows() {
  out_rows_.clear();
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const Piece& piece = pieces_[i];
    for (int64_t t = 0; t < piece.count; ++t) {
      row_piece_[static_cast<size_t>(piece.row + t)] = static_cast<int32_t>(i);
      if (t >= piece.first_output()) out_rows_.push_back(static_cast<int32_t>(piece.row + t));
    }
  }
}

// The rows that make logits move to the front of the pass; the others end here.
void Decoder::keep_output_rows() {
  size_t kept = 0;
  tokens_ = 0;
  for (const Piece piece : pieces_) {
    const int64_t first = piece.first_output();
    if (first == piece.count) continue;
    const Piece rest{piece.sequence, piece.begin + first, piece.count - first, tokens_};
    const auto move = [&](float* rows, int64_t width) {
      std::memmove(rows + rest.row * width, rows + (piece.row + first) * width,
                   static_cast<size_t>(rest.count * width) * sizeof(float));
    };
    move(x_, w_.h.hidden);
    move(cos_, rope_.half());
    move(sin_, rope_.half());
    pieces_[kept++] = rest;
    tokens_ += rest.count;
  }
  pieces_.resize(kept);
  number_rows();
  attention_.plan(pieces_);
}

void Decoder::embed() {
  compute_.rows(tokens_, [&](int64_t row, int) {
    const Piece& piece = piece_of(row);
    const int64_t offset = piece.begin + row - piece.row;
    const int32_t token = piece.sequence->tokens[static_cast<size_t>(offset)];
    compute_.table().matmul->dequantize_row(w_.embedding, token, x_ + row * w_.h.hidden);
    rope_.fill(piece.sequence->past + offset, cos_ + row * rope_.half(), sin_ + row * rope_.half());
  });
}

void Decoder::attention_block(const DecoderLayer& layer, int64_t index) {
  const Hyperparameters& h = w_.h;
  // What the last layer makes of a token that draws nothing, nobody reads but its key and value.
  const bool last = index + 1 == static_cast<int64_t>(w_.layers.size());
  const bool narrows = last && static_cast<int64_t>(out_rows_.size()) < tokens_;
  set_readers(act_hidden_, {&layer.q, &layer.k, &layer.v});
  const Product qkv[] = {{&layer.q, &act_hidden_, q_, h.q_dim(), false},
                         {&layer.k, &act_hidden_, k_, h.kv_dim(), false},
                         {&layer.v, &act_hidden_, v_, h.kv_dim(), false}};
  const Norm norm{layer.attn_norm, nullptr, h.norm_eps};
  compute_.normalized(x_, h.hidden, norm, tokens_, act_hidden_);
  compute_.products(std::span(qkv).subspan(narrows ? 1 : 0), tokens_);
  compute_.rows(tokens_, [&](int64_t row, int) {
    if (!narrows) rotate(q_ + row * h.q_dim(), row, h.heads, layer.q_norm);
    rotate(k_ + row * h.kv_dim(), row, h.kv_heads, layer.k_norm);
    store(row, index);
  });
  if (narrows) {
    keep_output_rows();
    if (tokens_ == 0) return;
    compute_.normalized(x_, h.hidden, norm, tokens_, act_hidden_);
    compute_.products(std::span(qkv).first(1), tokens_);
    compute_.rows(tokens_, [&](int64_t row, int) { rotate(q_ + row * h.q_dim(), row, h.heads, layer.q_norm); });
  }
  attention_.run(compute_, cache_, index, {q_, attended_, h.q_dim()});
  set_readers(act_attended_, {&layer.o});
  compute_.quantized(attended_, h.q_dim(), tokens_, act_attended_);
  const Product out[] = {{&layer.o, &act_attended_, x_, h.hidden, true}};
  compute_.products(out, tokens_);
}

void Decoder::rotate(float* x, int64_t row, int64_t heads, const float* norm) {
  const Hyperparameters& h = w_.h;
  const kernels::VectorKernels& vector = *compute_.table().vector;
  if (norm != nullptr) {
    for (int64_t i = 0; i < heads; ++i) {
      vector.rms_norm(x + i * h.head_dim, norm, h.norm_eps, h.head_dim, x + i * h.head_dim);
    }
  }
  vector.rope(x, cos_ + row * rope_.half(), sin_ + row * rope_.half(), heads, h.head_dim, h.rotary_dim, h.rope_style);
}

void Decoder::store(int64_t row, int64_t layer) {
  const int64_t width = w_.h.kv_dim();
  const Piece& piece = piece_of(row);
  const int64_t position = piece.position() + row - piece.row;
  const auto block =
      static_cast<size_t>(piece.sequence->blocks[static_cast<size_t>(position / kernels::kv_block_tokens)]);
  compute_.table().attention->kv_write(cache_.layout(), k_ + row * width, v_ + row * width,
                                       cache_.keys(layer) + block * cache_.block_bytes(),
                                       cache_.values(layer) + block * cache_.block_bytes(),
                                       position % kernels::kv_block_tokens);
}

void Decoder::ffn_block(const DecoderLayer& layer) {
  const Hyperparameters& h = w_.h;
  set_readers(act_hidden_, {&layer.gate, &layer.up});
  set_readers(act_ffn_, {&layer.down});
  compute_.normalized(x_, h.hidden, {layer.ffn_norm, nullptr, h.norm_eps}, tokens_, act_hidden_);
  compute_.expanded(&layer.gate, layer.up, act_hidden_, tokens_, act_ffn_);
  const Product down[] = {{&layer.down, &act_ffn_, x_, h.hidden, true}};
  compute_.products(down, tokens_);
}

void Decoder::output_rows(const LogitsSink& sink) {
  const Hyperparameters& h = w_.h;
  const auto total = static_cast<int64_t>(out_rows_.size());
  set_readers(act_hidden_, {&w_.output});
  for (int64_t begin = 0; begin < total; begin += max_output_rows) {
    const int64_t rows = std::min(max_output_rows, total - begin);
    compute_.rows(rows, [&](int64_t i, int worker) {
      const float* source = x_ + out_rows_[static_cast<size_t>(begin + i)] * h.hidden;
      float* y = compute_.row(worker);
      compute_.table().vector->rms_norm(source, w_.output_norm, h.norm_eps, h.hidden, y);
      compute_.table().matmul->quantize(y, 0, h.hidden, i, act_hidden_);
    });
    const Product product[] = {{&w_.output, &act_hidden_, logits_, h.vocab, false}};
    compute_.products(product, rows);
    sink(outputs_done_, rows, logits_);
    outputs_done_ += rows;
  }
}

}  // namespace sillar
