// The encoder's tensors by llama.cpp's names of architecture "bert".
#include <algorithm>

#include "base/error.h"
#include "model/encoder.h"

namespace sillar {
namespace {

void reserve_layer(TensorLoader& loader, const Hyperparameters& h, int64_t index, EncoderLayer& layer) {
  const std::string p = "blk." + std::to_string(index) + ".";
  loader.linear(p + "attn_q", h.hidden, h.hidden, layer.q);
  loader.linear(p + "attn_k", h.hidden, h.hidden, layer.k);
  loader.linear(p + "attn_v", h.hidden, h.hidden, layer.v);
  loader.linear(p + "attn_output", h.hidden, h.hidden, layer.o);
  layer.attn_norm = loader.vector(p + "attn_output_norm.weight", h.hidden, true);
  layer.attn_norm_bias = loader.vector(p + "attn_output_norm.bias", h.hidden, true);
  loader.linear(p + "ffn_up", h.ffn, h.hidden, layer.up);
  loader.linear(p + "ffn_down", h.hidden, h.ffn, layer.down);
  layer.ffn_norm = loader.vector(p + "layer_output_norm.weight", h.hidden, true);
  layer.ffn_norm_bias = loader.vector(p + "layer_output_norm.bias", h.hidden, true);
}

// The classifier of a cross-encoder: llama.cpp's names.
void reserve_head(TensorLoader& loader, const Hyperparameters& h, EncoderWeights& w) {
  loader.linear("cls", h.hidden, h.hidden, w.pooler);
  w.score = loader.vector("cls.output.weight", h.hidden, true);
  const float* bias = loader.vector("cls.output.bias", 1, false);
  w.score_bias = bias == nullptr ? 0.0F : *bias;
}

// A token is of type 0, or of type 1 in the second text of a pair; further types have no use here.
std::vector<float> read_types(TensorLoader& loader, const Compute& compute, int64_t hidden) {
  if (!loader.has("token_types.weight")) return std::vector<float>(static_cast<size_t>(hidden), 0.0F);
  const WeightView types = loader.view("token_types.weight", hidden);
  const int64_t rows = std::min<int64_t>(types.rows, 2);
  std::vector<float> out(static_cast<size_t>(rows * hidden));
  for (int64_t t = 0; t < rows; ++t) compute.table().matmul->dequantize_row(types, t, out.data() + t * hidden);
  return out;
}

void check(const ModelFile& file) {
  if (!file.h.is_encoder()) {
    throw Error(ErrorKind::unsupported, "this file is a language model of architecture " + file.h.architecture +
                                            ", not an embedding model");
  }
  if (static_cast<uint64_t>(file.h.layers) > file.gguf.tensors().size()) {
    throw Error(ErrorKind::file_format, "the model file has fewer tensors than layers; download it again");
  }
}

void reserve(TensorLoader& loader, const Hyperparameters& h, EncoderWeights& w) {
  w.h = h;
  w.token_embedding = loader.view("token_embd.weight", h.hidden);
  w.h.vocab = w.token_embedding.rows;
  w.position_embedding = loader.view("position_embd.weight", h.hidden);
  w.h.context = std::min(w.h.context, w.position_embedding.rows);
  if (loader.has("token_types.weight")) loader.view("token_types.weight", h.hidden);
  w.embedding_norm = loader.vector("token_embd_norm.weight", h.hidden, true);
  w.embedding_norm_bias = loader.vector("token_embd_norm.bias", h.hidden, true);
  w.layers.resize(static_cast<size_t>(h.layers));
  for (int64_t i = 0; i < h.layers; ++i) reserve_layer(loader, h, i, w.layers[static_cast<size_t>(i)]);
  if (h.pooling == Pooling::rank) reserve_head(loader, h, w);
  loader.check_all_used();
}

}  // namespace

uint64_t encoder_weight_bytes(const ModelFile& file) {
  check(file);
  TensorLoader loader(file.gguf, file.mapping, Packing::for_batches);
  EncoderWeights w;
  reserve(loader, file.h, w);
  return loader.packed_bytes();
}

EncoderWeights load_encoder_weights(const ModelFile& file, const Compute& compute, const LoadProgress& progress) {
  check(file);
  TensorLoader loader(file.gguf, file.mapping, Packing::for_batches);
  EncoderWeights w;
  reserve(loader, file.h, w);
  w.type_embedding = read_types(loader, compute, w.h.hidden);
  w.storage = loader.pack(compute.pool(), progress);
  return w;
}

}  // namespace sillar
