// Texts are laid end to end. A layer has two phases, so that what a task touches stays in its core's cache and
// the workers meet twice: attention by texts and groups of heads, then everything else by ranges of rows.
#include "model/encoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "model/layout.h"

namespace sillar {
namespace {

constexpr int64_t chunk_tokens = 192;  // short texts share an attention task: a panel of weights pays from about here
constexpr int64_t range_tokens = 192;  // rows and their FFN activations stay in a core's cache of 1 MiB
constexpr int64_t few_tokens = 64;     // below this a worker, all share each product

int64_t divided_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

bool any_reads_f32(const EncoderWeights& w, std::initializer_list<Matrix EncoderLayer::*> matrices) {
  return std::any_of(w.layers.begin(), w.layers.end(), [&](const EncoderLayer& layer) {
    return std::any_of(matrices.begin(), matrices.end(), [&](auto m) { return (layer.*m).reads_f32(); });
  });
}

// What any layer needs: the layers share the activations.
void add_readers(kernels::Activations& x, const EncoderWeights& w, std::initializer_list<Matrix EncoderLayer::*> readers) {
  for (const EncoderLayer& layer : w.layers)
    for (auto m : readers) add_reader(x, layer.*m);
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
  add_readers(act_attended_, w_, {&L::o});
  narrow_heads_ = act_attended_.block_cols() / std::gcd(h.head_dim, act_attended_.block_cols());
  wide_heads_ = std::max<int64_t>(1, 64 / (narrow_heads_ * h.head_dim)) * narrow_heads_;
  chunk_rows_ = std::max(chunk_tokens, h.context);
  heads_.resize(static_cast<size_t>(compute.pool().size()));
  const auto lay_out = [&](std::byte* base) {
    Layout layout(base);
    x_ = layout.floats(max_rows_ * h.hidden);
    for (float*& memory : heads_) memory = layout.floats(4 * chunk_rows_ * wide_heads_ * h.head_dim);
    layout.activations(max_rows_, h.hidden, any_reads_f32(w_, {&L::q, &L::k, &L::v, &L::up}), act_hidden_);
    layout.activations(max_rows_, h.hidden, any_reads_f32(w_, {&L::o}) || (w_.pooler.present() && w_.pooler.reads_f32()),
                       act_attended_);
    layout.activations(max_rows_, h.ffn, any_reads_f32(w_, {&L::down}), act_ffn_);
    return layout.used();
  };
  memory_ = Buffer(lay_out(nullptr));
  lay_out(memory_.data());
  add_readers(act_hidden_, w_, {&L::q, &L::k, &L::v, &L::up});
  add_readers(act_attended_, w_, {&L::o});
  add_readers(act_ffn_, w_, {&L::down});
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

void Encoder::encode(std::span<const std::span<const int32_t>> texts, float* out, float* tokens) {
  if (scores_pairs()) throw Error(ErrorKind::invalid_request, "a reranker scores pairs; it has no embeddings");
  run(texts, {}, out, tokens);
}

void Encoder::score(std::span<const std::span<const int32_t>> texts, std::span<const int32_t> first, float* out) {
  if (!scores_pairs()) throw Error(ErrorKind::invalid_request, "an embedding model does not score pairs");
  if (first.size() != texts.size()) throw Error(ErrorKind::invalid_request, "one length of the first part a pair");
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto count = static_cast<int64_t>(texts[i].size());
    if (first[i] < 1 || first[i] > count || (first[i] < count && w_.token_types() < 2)) {
      throw Error(ErrorKind::invalid_request, "a pair's first part must lie within it, in a model with two token types");
    }
  }
  run(texts, first, out, nullptr);
}

void Encoder::run(std::span<const std::span<const int32_t>> texts, std::span<const int32_t> first, float* out,
                  float* tokens) {
  check(texts);
  texts_.clear();
  tokens_ = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto count = static_cast<int64_t>(texts[i].size());
    if (tokens_ + count > max_rows_) run_pass(texts, out, tokens);
    texts_.push_back({tokens_, count, static_cast<int64_t>(i), first.empty() ? count : first[i]});
    tokens_ += count;
  }
  if (tokens_ > 0) run_pass(texts, out, tokens);
}

void Encoder::run_pass(std::span<const std::span<const int32_t>> texts, float* out, float*& tokens) {
  embed(texts);
  make_chunks();
  const int64_t workers = compute_.pool().size();
  // As many ranges as keeps all workers busy to the end, of whole register tiles.
  const int64_t ranges = divided_up(divided_up(tokens_, range_tokens), workers) * workers;
  const int64_t range = divided_up(divided_up(tokens_, ranges), 6) * 6;
  for (const EncoderLayer& layer : w_.layers) {
    attention_block(layer);
    if (tokens_ < few_tokens * workers) {
      transform_together(layer);
      continue;
    }
    compute_.pool().run(divided_up(tokens_, range), [&](int64_t task, int worker) {
      transform_rows(layer, task * range, std::min(task * range + range, tokens_), worker);
    });
  }
  if (tokens != nullptr) tokens = copy_tokens(tokens);
  scores_pairs() ? rank_texts(out) : pool_texts(out);
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
      table.vector->add(w_.type_embedding.data() + (t < text.first ? 0 : n), n, x);
    }
  });
  normalize(w_.embedding_norm, w_.embedding_norm_bias);
}

void Encoder::normalize(const float* weight, const float* bias) {
  compute_.normalized(x_, dim(), {weight, bias, w_.h.norm_eps}, tokens_, act_hidden_, x_);
}

void Encoder::make_chunks() {
  chunks_.clear();
  int64_t room = 0;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (chunks_.empty() || texts_[i].count > room) {
      chunks_.push_back({i, i});
      room = chunk_tokens;
    }
    room -= texts_[i].count;
    chunks_.back().last = i + 1;
  }
}

void Encoder::attention_block(const EncoderLayer& layer) {
  const auto groups = [&](int64_t heads) { return (w_.h.heads + heads - 1) / heads; };
  const auto chunks = static_cast<int64_t>(chunks_.size());
  const int64_t heads = chunks * groups(wide_heads_) < 2 * compute_.pool().size() ? narrow_heads_ : wide_heads_;
  compute_.pool().run(chunks * groups(heads), [&](int64_t task, int worker) {
    const int64_t head = task % groups(heads) * heads;
    attend(layer, chunks_[static_cast<size_t>(task / groups(heads))], head, std::min(heads, w_.h.heads - head), worker);
  });
}

void Encoder::attend(const EncoderLayer& layer, const Chunk& chunk, int64_t head, int64_t heads, int worker) {
  const int64_t n = w_.h.head_dim, width = heads * n, column = head * n;
  const int64_t first = texts_[chunk.first].row;
  const Text& last = texts_[chunk.last - 1];
  kernels::MatmulTask part;
  part.row_begin = column;
  part.row_end = column + width;
  part.token_begin = first;
  part.token_end = last.row + last.count;
  float* memory[4];  // q, k, v, output: [rows of the chunk][width]
  for (int64_t i = 0; i < 4; ++i) memory[i] = heads_[static_cast<size_t>(worker)] + i * chunk_rows_ * wide_heads_ * n;
  const Matrix* matrices[] = {&layer.q, &layer.k, &layer.v};
  for (int i = 0; i < 3; ++i)
    compute_.product_part({matrices[i], &act_hidden_, memory[i] - first * width - column, width, false}, part, worker);
  for (size_t i = chunk.first; i < chunk.last; ++i) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t at = (texts_[i].row - first) * width + h * n;
      const kernels::EncoderAttentionTask task{memory[0] + at, memory[1] + at, memory[2] + at, width, texts_[i].count,
                                               n, 1.0F / std::sqrt(static_cast<float>(n)), memory[3] + at, width};
      compute_.table().attention->encoder_attention(task, compute_.attention_scratch(worker));
    }
  }
  for (int64_t t = first; t < part.token_end; ++t)
    compute_.table().matmul->quantize(memory[3] + (t - first) * width - column, column, column + width, t, act_attended_);
}

void Encoder::transform_rows(const EncoderLayer& layer, int64_t begin, int64_t end, int worker) {
  const auto add_product = [&](const Matrix& matrix, const kernels::Activations& x) {
    kernels::MatmulTask part;
    part.row_end = dim();
    part.token_begin = begin;
    part.token_end = end;
    compute_.product_part({&matrix, &x, x_, dim(), true}, part, worker);
  };
  const float eps = w_.h.norm_eps;
  add_product(layer.o, act_attended_);
  compute_.normalized_part(x_, dim(), {layer.attn_norm, layer.attn_norm_bias, eps}, begin, end, act_hidden_, x_, worker);
  compute_.expanded_part(layer.up, act_hidden_, begin, end, act_ffn_, worker);
  add_product(layer.down, act_ffn_);
  compute_.normalized_part(x_, dim(), {layer.ffn_norm, layer.ffn_norm_bias, eps}, begin, end, act_hidden_, x_, worker);
}

void Encoder::transform_together(const EncoderLayer& layer) {
  const Product out[] = {{&layer.o, &act_attended_, x_, dim(), true}};
  compute_.products(out, tokens_);
  normalize(layer.attn_norm, layer.attn_norm_bias);
  compute_.expanded(nullptr, layer.up, act_hidden_, tokens_, act_ffn_);
  const Product down[] = {{&layer.down, &act_ffn_, x_, dim(), true}};
  compute_.products(down, tokens_);
  normalize(layer.ffn_norm, layer.ffn_norm_bias);
}

float* Encoder::copy_tokens(float* out) const {
  const int64_t n = dim();
  std::copy_n(x_, tokens_ * n, out);
  for (int64_t t = 0; t < tokens_; ++t) to_unit_length(out + t * n, n);
  return out + tokens_ * n;
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

// The first token's row through a dense layer, tanh and one linear unit. A text's row is never before its
// number, so x takes the rows side by side; the product reads their quantised copies and writes over them.
void Encoder::rank_texts(float* out) {
  const int64_t n = dim();
  const auto count = static_cast<int64_t>(texts_.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = texts_[static_cast<size_t>(i)].row;
    if (row != i) std::copy_n(x_ + row * n, n, x_ + i * n);
  }
  compute_.quantized(x_, n, count, act_attended_);
  const Product dense[] = {{&w_.pooler, &act_attended_, x_, n, false}};
  compute_.products(dense, count);
  for (int64_t i = 0; i < count; ++i) {
    float* pooled = x_ + i * n;
    for (int64_t k = 0; k < n; ++k) pooled[k] = std::tanh(pooled[k]);
    out[texts_[static_cast<size_t>(i)].index] = compute_.table().vector->dot(pooled, w_.score, n) + w_.score_bias;
  }
}

}  // namespace sillar
