// A decoder's weights: every tensor found, its shape checked, its matrix packed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/hyperparameters.h"
#include "model/tensor_loader.h"

namespace sillar {

struct DecoderLayer {
  const float* attn_norm = nullptr;
  Matrix q, k, v, o;
  const float* q_norm = nullptr;  // [head_dim], qwen3; or null
  const float* k_norm = nullptr;
  const float* ffn_norm = nullptr;
  Matrix gate, up, down;
};

struct DecoderWeights {
  Hyperparameters h;
  WeightView embedding;  // read row by row from the file
  std::vector<DecoderLayer> layers;
  const float* output_norm = nullptr;
  Matrix output;                        // token_embd itself where the file ties them
  const float* rope_factors = nullptr;  // [rotary_dim / 2] divisors of the frequencies (Llama 3); or null
  WeightStorage storage;
};

// A mapped and parsed model file, before anything is packed.
struct ModelFile {
  explicit ModelFile(const std::string& path)
      : mapping(path), gguf(mapping.data(), mapping.bytes()), h(read_hyperparameters(gguf)) {}
  FileMapping mapping;
  Gguf gguf;
  Hyperparameters h;
};

// Checks every tensor and returns how many bytes the packed matrices take, without packing.
uint64_t decoder_weight_bytes(const ModelFile& file);

// `file` must outlive the weights: the embedding is read from it. Throws Error.
// With `kept`, the packed matrices are taken from that file, or left there for the next start.
DecoderWeights load_decoder_weights(const ModelFile& file, ThreadPool& pool, const LoadProgress& progress,
                                    const PackedFile* kept = nullptr);

}  // namespace sillar
