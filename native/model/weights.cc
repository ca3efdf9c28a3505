// The decoder's tensors by name. Biases and norms that only some architectures have are taken when
// the file has them.
#include "model/weights.h"

#include "base/error.h"

namespace sillar {
namespace {

constexpr int64_t max_vocab = int64_t{1} << 22;

void reserve_layer(TensorLoader& loader, const Hyperparameters& h, int64_t index, DecoderLayer& layer) {
  const std::string p = "blk." + std::to_string(index) + ".";
  layer.attn_norm = loader.vector(p + "attn_norm.weight", h.hidden, true);
  loader.linear(p + "attn_q", h.q_dim(), h.hidden, layer.q);
  loader.linear(p + "attn_k", h.kv_dim(), h.hidden, layer.k);
  loader.linear(p + "attn_v", h.kv_dim(), h.hidden, layer.v);
  loader.linear(p + "attn_output", h.hidden, h.q_dim(), layer.o);
  const bool qk_norm = h.architecture == "qwen3";
  layer.q_norm = loader.vector(p + "attn_q_norm.weight", h.head_dim, qk_norm);
  layer.k_norm = loader.vector(p + "attn_k_norm.weight", h.head_dim, qk_norm);
  layer.ffn_norm = loader.vector(p + "ffn_norm.weight", h.hidden, true);
  loader.linear(p + "ffn_gate", h.ffn, h.hidden, layer.gate);
  loader.linear(p + "ffn_up", h.ffn, h.hidden, layer.up);
  loader.linear(p + "ffn_down", h.hidden, h.ffn, layer.down);
  // Old conversions repeat the rotary frequencies here; they follow from the metadata.
  loader.ignore(p + "attn_rot_embd");
  loader.ignore(p + "attn_rot_embd.weight");
}

// Reserves every tensor of a decoder; `w.layers` must not move afterwards.
void reserve(TensorLoader& loader, const Hyperparameters& h, DecoderWeights& w) {
  w.h = h;
  w.embedding = loader.view("token_embd.weight", h.hidden);
  w.h.vocab = w.embedding.rows;
  if (w.h.vocab > max_vocab) throw Error(ErrorKind::unsupported, "a vocabulary of more than 4 million tokens");
  w.layers.resize(static_cast<size_t>(h.layers));
  for (int64_t i = 0; i < h.layers; ++i) reserve_layer(loader, h, i, w.layers[static_cast<size_t>(i)]);
  w.output_norm = loader.vector("output_norm.weight", h.hidden, true);
  const bool untied = loader.has("output.weight");
  loader.matrix(untied ? "output.weight" : "token_embd.weight", w.h.vocab, h.hidden, w.output);
  w.output.bias = loader.vector("output.bias", w.h.vocab, false);
  w.rope_factors = loader.vector("rope_freqs.weight", h.rotary_dim / 2, false);
  loader.check_all_used();
}

// A file that lists fewer tensors than layers need is refused before anything is sized by its count.
void check_layer_count(const ModelFile& file) {
  if (static_cast<uint64_t>(file.h.layers) > file.gguf.tensors().size()) {
    throw Error(ErrorKind::file_format, "the model file has fewer tensors than layers; download it again");
  }
  if (file.h.is_encoder()) {
    throw Error(ErrorKind::unsupported, "this file is an embedding model; it does not generate text");
  }
}

}  // namespace

uint64_t decoder_weight_bytes(const ModelFile& file) {
  check_layer_count(file);
  TensorLoader loader(file.gguf, file.mapping);
  DecoderWeights w;
  reserve(loader, file.h, w);
  return loader.packed_bytes();
}

DecoderWeights load_decoder_weights(const ModelFile& file, ThreadPool& pool, const LoadProgress& progress,
                                    const PackedFile* kept) {
  check_layer_count(file);
  TensorLoader loader(file.gguf, file.mapping);
  DecoderWeights w;
  reserve(loader, file.h, w);
  w.storage = loader.pack(pool, progress, kept);
  return w;
}

}  // namespace sillar
