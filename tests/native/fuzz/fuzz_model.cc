// Reads file names from stdin, one a line. For each: parse, check, pack, take a tiny step or encode a tiny
// text, and print one line: "ok", or the kind of the typed error and its message. Anything else is a bug.
//   fuzz_model [ISA]
#include <cmath>
#include <iostream>
#include <string>

#include "base/error.h"
#include "model/decoder.h"
#include "model/encoder.h"
#include "model/sampler.h"

namespace sillar {
namespace {

constexpr int64_t kv_blocks = 4;
constexpr uint64_t most_growth = 64;  // padding to 16 rows, fp16 vectors to fp32, and room to spare

const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::file_format: return "file_format";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::out_of_memory: return "out_of_memory";
    case ErrorKind::invalid_request: return "invalid_request";
  }
  return "unknown";
}

void check_growth(const ModelFile& file, uint64_t weight_bytes) {
  if (weight_bytes > most_growth * file.mapping.bytes() + (1 << 20)) {
    std::cerr << "packed weights of " << weight_bytes << " bytes from a file of " << file.mapping.bytes() << "\n";
    std::abort();
  }
}

void step(const ModelFile& file, const kernels::Table& table, ThreadPool& pool) {
  check_growth(file, decoder_weight_bytes(file));
  const DecoderWeights weights = load_decoder_weights(file, pool, {});
  const Compute compute(table, pool, weights.h.hidden);
  KvCache cache({kernels::KvType::f16, weights.h.kv_heads, weights.h.head_dim}, weights.h.layers, kv_blocks);
  const int64_t context = std::min(weights.h.context, kv_blocks * kernels::kv_block_tokens);
  Decoder decoder(weights, cache, compute, context, 32);
  Sampler sampler(*table.vector, weights.h.vocab, pool.size());
  const int32_t blocks[] = {2, 0, 3, 1};
  const int32_t last = static_cast<int32_t>(weights.h.vocab) - 1;
  const int32_t tokens[] = {0, last, 0};
  const SequenceInput batch[] = {{tokens, 0, blocks, 2}};
  check_batch(batch, {weights.h.vocab, context, kv_blocks});
  SamplingOptions options;
  options.temperature = 0.8F;
  options.top_p = 0.9F;
  options.logprobs = 2;
  decoder.step(batch, [&](int64_t, int64_t rows, const float* logits) {
    for (int64_t i = 0; i < rows; ++i) {
      Draw draw;
      DrawInput input;
      input.logits = logits + i * weights.h.vocab;
      input.options = &options;
      sampler.draw(input, 0, draw);
      if (draw.token < 0 || draw.token > last) std::abort();
    }
  });
}

void encode(const ModelFile& file, const kernels::Table& table, ThreadPool& pool) {
  check_growth(file, encoder_weight_bytes(file));
  const Compute compute(table, pool, file.h.hidden);
  const EncoderWeights weights = load_encoder_weights(file, compute, {});
  Encoder encoder(weights, compute, 32);
  const int32_t tokens[] = {0};
  const std::span<const int32_t> texts[] = {tokens};
  std::vector<float> out(static_cast<size_t>(encoder.dim()));
  encoder.encode(texts, out.data());
}

std::string run(const std::string& path, const kernels::Table& table, ThreadPool& pool) {
  try {
    const ModelFile file(path);
    if (file.h.is_encoder()) {
      encode(file, table, pool);
    } else {
      step(file, table, pool);
    }
    return "ok";
  } catch (const Error& error) {
    return std::string(name_of(error.kind())) + " " + error.what();
  }
}

}  // namespace
}  // namespace sillar

int main(int argc, char** argv) {
  using namespace sillar;
  const kernels::Table table = kernels::choose_table(kernels::detect_cpu(), argc > 1 ? argv[1] : "");
  ThreadPool pool({1, {}, 0});
  std::string path;
  while (std::getline(std::cin, path)) std::cout << run(path, table, pool) << std::endl;
  return 0;
}
