// Texts are laid end to end: products and norms see one long batch, attention one text and head at a time.
#include "model/encoder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/layout.h"

namespace sillar {
namespace {

bool any_reads_f32(const EncoderWeights& w, std::initializer_list<Matrix EncoderLayer::*> matrices) {
  return std::any_of(w.layers.begin(), w.layers.end(), [&](const EncoderLayer& layer) {
    return std::any_of(matrices.begin(), matrices.end(), [&](auto m) { return (layer.*m).reads_f32(); });
  });
}

void to_unit_length(float* x, int64_t n) {
  double square = 0;
  for (int64_t i = 0; i < n; ++i) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  if (!(square > 0) || !std::isfinite(square)) return;
  const auto factor = static_cast<float>(1 / std::sqrt(square));
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

Encoder::Encoder(const EncoderWeights& weights, const Compute& compute, int64_t max_pass_tokens)
    : w_(weights), compute_(compute), max_rows_(std::max(max_pass_tokens, weights.h.context)) {
  using L = EncoderLayer;
  const Hyperparameters& h = w_.h;
  const auto lay_out = [&](std::byte* base) {
    Layout layout(base);
    for (float** rows : {&x_, &q_, &k_, &v_, &attended_}) *rows = layout.floats(max_rows_ * h.hidden);
    layout.activations(max_rows_, h.hidden, any_reads_f32(w_, {&L::q, &L::k, &L::v, &L::up}), act_hidden_);
    layout.activations(max_rows_, h.hidden, any_reads_f32(w_, {&L::o}), act_attended_);
    layout.activations(max_rows_, h.ffn, any_reads_f32(w_, {&L::down}), act_ffn_);
    return layout.used();
  };
  memory_ = Buffer(lay_out(nullptr));
  lay_out(memory_.data());
  texts_.reserve(static_cast<size_t>(max_rows_));
}

void Encoder::check(std::span<const std::span<const int32_t>> texts) const {
  for (const auto& text : texts) {
    if (text.empty() || static_cast<int64_t>(text.size()) > max_tokens()) {
      throw Error(ErrorKind::invalid_request,
                  "a text of " + std::to_string(text.size()) + " tokens; 1 to " + std::to_string(max_tokens()) + " fit");
    }
    for (int32_t token : text) {
      if (token < 0 || token >= w_.h.vocab) throw Error(ErrorKind::invalid_request, "a token outside the vocabulary");
    }
  }
}

void Encoder::encode(std::span<const std::span<const int32_t>> texts, float* out) {
  check(texts);
  texts_.clear();
  tokens_ = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto count = static_cast<int64_t>(texts[i].size());
    if (tokens_ + count > max_rows_) run_pass(texts, out);
    texts_.push_back({tokens_, count, static_cast<int64_t>(i)});
    tokens_ += count;
  }
  if (tokens_ > 0) run_pass(texts, out);
}

void Encoder::run_pass(std::span<const std::span<const int32_t>> texts, float* out) {
  embed(texts);
  for (const EncoderLayer& layer : w_.layers) {
    attention_block(layer);
    ffn_block(layer);
  }
  pool_texts(out);
  texts_.clear();
  tokens_ = 0;
}

void Encoder::embed(std::span<const std::span<const int32_t>> texts) {
  const int64_t n = dim();
  const kernels::Table& table = compute_.table();
  compute_.rows(static_cast<int64_t>(texts_.size()), [&](int64_t i, int worker) {
    const Text& text = texts_[static_cast<size_t>(i)];
    for (int64_t t = 0; t < text.count; ++t) {
      float* x = x_ + (text.row + t) * n;
      float* part = compute_.row(worker);
      table.matmul->dequantize_row(w_.token_embedding, texts[static_cast<size_t>(text.index)][static_cast<size_t>(t)], x);
      table.matmul->dequantize_row(w_.position_embedding, t, part);
      table.vector->add(part, n, x);
      table.vector->add(w_.type_embedding.data(), n, x);
    }
  });
  normalize(w_.embedding_norm, w_.embedding_norm_bias);
}

void Encoder::normalize(const float* weight, const float* bias) {
  compute_.normalized(x_, dim(), {weight, bias, w_.h.norm_eps}, tokens_, act_hidden_, x_);
}

void Encoder::attention_block(const EncoderLayer& layer) {
  const Hyperparameters& h = w_.h;
  const Product qkv[] = {{&layer.q, &act_hidden_, q_, h.hidden, false},
                         {&layer.k, &act_hidden_, k_, h.hidden, false},
                         {&layer.v, &act_hidden_, v_, h.hidden, false}};
  compute_.products(qkv, tokens_);
  compute_.pool().run(static_cast<int64_t>(texts_.size()) * h.heads, [&](int64_t i, int worker) {
    const Text& text = texts_[static_cast<size_t>(i / h.heads)];
    const int64_t offset = text.row * h.hidden + i % h.heads * h.head_dim;
    kernels::EncoderAttentionTask task;
    task.q = q_ + offset;
    task.k = k_ + offset;
    task.v = v_ + offset;
    task.stride = h.hidden;
    task.tokens = text.count;
    task.head_dim = h.head_dim;
    task.scale = 1.0F / std::sqrt(static_cast<float>(h.head_dim));
    task.out = attended_ + offset;
    task.out_stride = h.hidden;
    compute_.table().attention->encoder_attention(task, compute_.attention_scratch(worker));
  });
  compute_.quantized(attended_, h.hidden, tokens_, act_attended_);
  const Product out[] = {{&layer.o, &act_attended_, x_, h.hidden, true}};
  compute_.products(out, tokens_);
  normalize(layer.attn_norm, layer.attn_norm_bias);
}

void Encoder::ffn_block(const EncoderLayer& layer) {
  compute_.expanded(nullptr, layer.up, act_hidden_, tokens_, act_ffn_);
  const Product down[] = {{&layer.down, &act_ffn_, x_, dim(), true}};
  compute_.products(down, tokens_);
  normalize(layer.ffn_norm, layer.ffn_norm_bias);
}

void Encoder::pool_texts(float* out) {
  const int64_t n = dim();
  for (const Text& text : texts_) {
    float* result = out + text.index * n;
    std::copy_n(x_ + text.row * n, n, result);
    const int64_t pooled = w_.h.pooling == Pooling::mean ? text.count : 1;
    for (int64_t t = 1; t < pooled; ++t) compute_.table().vector->add(x_ + (text.row + t) * n, n, result);
    to_unit_length(result, n);
  }
}

}  // namespace sillar
