// The decoder as Python sees it: step over a batch of objects shaped like sillar.engine.request.SequenceStep.
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "bind/model_file.h"
#include "model/decoder.h"
#include "model/sampler.h"

namespace sillar::bind {
namespace {

using Tokens = Array<const int32_t, nb::ndim<1>>;
using Masks = Array<const uint32_t, nb::ndim<2>>;

// A batch as C++ values; the arrays that they point into are held meanwhile.
struct Request {
  struct Row {
    size_t sequence;
    int64_t token;  // index in its new tokens
  };
  std::vector<SequenceInput> inputs;
  std::vector<SamplingOptions> sampling;
  std::vector<std::span<const int32_t>> histories;
  std::vector<const uint32_t*> masks;
  std::vector<int64_t> mask_words;
  std::vector<std::span<const int32_t>> targets;
  std::vector<Row> rows;
  std::vector<Tokens> held_tokens;
  std::vector<Masks> held_masks;

  std::span<const int32_t> tokens(nb::handle owner, const char* name) {
    Tokens array = nb::cast<Tokens>(owner.attr(name));
    held_tokens.push_back(array);
    return {array.data(), array.size()};
  }
};

float in_range(nb::handle options, const char* name, float low, float high) {
  const float value = nb::cast<float>(options.attr(name));
  if (!(value >= low && value <= high)) {
    throw Error(ErrorKind::invalid_request, std::string("the sampling option ") + name + " is out of range");
  }
  return value;
}

SamplingOptions read_sampling(nb::handle from, int64_t vocab) {
  SamplingOptions o;
  o.temperature = in_range(from, "temperature", 0, 1e6F);
  o.top_k = std::clamp<int64_t>(nb::cast<int64_t>(from.attr("top_k")), 0, vocab);
  o.top_p = in_range(from, "top_p", 0, 1);
  o.min_p = in_range(from, "min_p", 0, 1);
  o.repetition_penalty = in_range(from, "repetition_penalty", 1e-3F, 1e3F);
  o.presence_penalty = in_range(from, "presence_penalty", -1e3F, 1e3F);
  o.frequency_penalty = in_range(from, "frequency_penalty", -1e3F, 1e3F);
  o.logprobs = std::clamp<int64_t>(nb::cast<int64_t>(from.attr("logprobs")), 0, vocab);
  o.seed = PyLong_AsUnsignedLongLongMask(nb::object(from.attr("seed")).ptr());
  if (PyErr_Occurred() != nullptr) nb::raise_python_error();
  nb::object bias = from.attr("logit_bias");
  if (nb::len(bias) == 0) return o;
  for (nb::handle pair : bias.attr("items")()) {
    const auto token = nb::cast<int64_t>(pair[0]);
    const auto value = nb::cast<float>(pair[1]);
    require(token >= 0 && token < vocab, "logit_bias: a token outside the vocabulary");
    require(!std::isnan(value), "logit_bias: not a number");
    o.logit_bias.emplace_back(static_cast<int32_t>(token), value);
  }
  return o;
}

void check_vocabulary(std::span<const int32_t> tokens, int64_t vocab, const char* complaint) {
  for (int32_t token : tokens) require(token >= 0 && token < vocab, complaint);
}

void read_sequence(nb::handle from, int64_t vocab, Request& request) {
  SequenceInput input;
  input.tokens = request.tokens(from, "tokens");
  input.blocks = request.tokens(from, "blocks");
  input.past = nb::cast<int64_t>(from.attr("past"));
  input.outputs = nb::cast<int64_t>(from.attr("outputs"));
  request.inputs.push_back(input);
  request.sampling.push_back(read_sampling(from.attr("sampling"), vocab));
  request.histories.emplace_back();
  if (request.sampling.back().penalises()) {
    require(!nb::object(from.attr("history")).is_none(), "penalties need the history of the sequence");
    request.histories.back() = request.tokens(from, "history");
    check_vocabulary(request.histories.back(), vocab, "history: a token outside the vocabulary");
  }
  request.targets.emplace_back();
  if (!nb::object(from.attr("targets")).is_none()) {
    request.targets.back() = request.tokens(from, "targets");
    check_vocabulary(request.targets.back(), vocab, "targets: a token outside the vocabulary");
  }
  request.masks.push_back(nullptr);
  request.mask_words.push_back((vocab + 31) / 32);
  nb::object allowed = from.attr("allowed");
  if (allowed.is_none()) return;
  Masks mask = nb::cast<Masks>(allowed);
  require(static_cast<int64_t>(mask.shape(0)) == input.outputs &&
              static_cast<int64_t>(mask.shape(1)) == request.mask_words.back(),
          "the mask of allowed tokens must be [outputs, ceil(vocab / 32)]");
  request.held_masks.push_back(mask);
  request.masks.back() = mask.data();
}

class PyDecoder {
 public:
  PyDecoder(SharedFile file, int threads, const std::string& isa, const std::string& kv_type, int64_t kv_blocks,
            int64_t context, const PackedFile* kept, const LoadProgress& progress)
      : file_(std::move(file)),
        runtime_(*file_, threads, isa),
        context_(context > 0 ? context : file_->h.context),
        weights_(load_decoder_weights(*file_, runtime_.pool, progress, kept)),
        cache_({kv_type_named(kv_type), weights_.h.kv_heads, weights_.h.head_dim}, weights_.h.layers, kv_blocks),
        decoder_(weights_, cache_, runtime_.compute, reach()),
        sampler_(*runtime_.table.vector, weights_.h.vocab, runtime_.pool.size()) {}

  int64_t vocab() const { return weights_.h.vocab; }
  int64_t context() const { return context_; }
  int64_t blocks() const { return cache_.blocks(); }
  int threads() const { return runtime_.pool.size(); }

  nb::tuple step(nb::sequence batch, bool want_logits) {
    Request request;
    for (nb::handle sequence : batch) read_sequence(sequence, vocab(), request);
    check_batch(request.inputs, {vocab(), reach(), cache_.blocks()});
    for (size_t i = 0; i < request.inputs.size(); ++i) {
      const SequenceInput& s = request.inputs[i];
      const auto count = static_cast<int64_t>(s.tokens.size());
      for (int64_t t = count - s.outputs; t < count; ++t) request.rows.push_back({i, t});
    }
    const size_t rows = request.rows.size();
    auto logits = new_array<float>({want_logits ? rows : 0, static_cast<size_t>(vocab())});
    std::vector<Draw> draws(rows);
    {
      nb::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      decoder_.step(request.inputs, [&](int64_t first, int64_t count, const float* values) {
        if (want_logits) std::copy_n(values, count * vocab(), logits.data() + first * vocab());
        runtime_.pool.run(count, [&](int64_t row, int worker) {
          draw(request, static_cast<size_t>(first + row), values + row * vocab(), worker, draws);
        });
      });
    }
    return result(draws, want_logits ? nb::cast(logits) : nb::none());
  }

  size_t block_content_bytes() const { return cache_.content_bytes(); }

  nb::ndarray<nb::numpy, uint8_t> read_block(int64_t block) {
    require(block >= 0 && block < blocks(), "a block number outside the KV cache");
    auto content = new_array<uint8_t>({cache_.content_bytes()});
    nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    cache_.read_block(block, reinterpret_cast<std::byte*>(content.data()));
    return content;
  }

  void write_block(int64_t block, Array<const uint8_t, nb::ndim<1>> content) {
    require(block >= 0 && block < blocks(), "a block number outside the KV cache");
    require(content.size() == cache_.content_bytes(), "a block's content must have block_bytes bytes");
    nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    cache_.write_block(block, reinterpret_cast<const std::byte*>(content.data()));
  }

 private:
  // The longest sequence that the context and the cache allow.
  int64_t reach() const { return std::min(context_, cache_.blocks() * kernels::kv_block_tokens); }

  void draw(const Request& request, size_t row, const float* logits, int worker, std::vector<Draw>& draws) {
    const auto [sequence, token] = request.rows[row];
    const SequenceInput& input = request.inputs[sequence];
    DrawInput in;
    in.logits = logits;
    in.options = &request.sampling[sequence];
    in.history = request.histories[sequence];
    in.recent = input.tokens.first(static_cast<size_t>(token) + 1);
    const int64_t output = token - (static_cast<int64_t>(input.tokens.size()) - input.outputs);
    if (request.masks[sequence] != nullptr) in.allowed = request.masks[sequence] + output * request.mask_words[sequence];
    in.position = input.past + token + 1;
    const std::span<const int32_t> targets = request.targets[sequence];
    if (output < static_cast<int64_t>(targets.size())) in.target = targets[static_cast<size_t>(output)];
    sampler_.draw(in, worker, draws[row]);
  }

  static nb::tuple result(const std::vector<Draw>& draws, const nb::object& logits) {
    auto tokens = new_array<int32_t>({draws.size()});
    auto logprobs = new_array<float>({draws.size()});
    nb::list top_tokens, top_logprobs;
    for (size_t i = 0; i < draws.size(); ++i) {
      const Draw& d = draws[i];
      require(d.token >= 0, "the mask allows no token");
      tokens.data()[i] = d.token;
      logprobs.data()[i] = d.logprob;
      auto top = new_array<int32_t>({d.top_tokens.size()});
      auto top_values = new_array<float>({d.top_tokens.size()});
      std::copy(d.top_tokens.begin(), d.top_tokens.end(), top.data());
      std::copy(d.top_logprobs.begin(), d.top_logprobs.end(), top_values.data());
      top_tokens.append(nb::cast(top));
      top_logprobs.append(nb::cast(top_values));
    }
    return nb::make_tuple(tokens, logprobs, top_tokens, top_logprobs, logits);
  }

  SharedFile file_;
  Runtime runtime_;
  int64_t context_;
  DecoderWeights weights_;
  KvCache cache_;
  Decoder decoder_;
  Sampler sampler_;
  std::mutex mutex_;  // one step at a time
};

std::unique_ptr<PyDecoder> load(SharedFile file, int threads, const std::string& isa, const std::string& kv_type,
                                int64_t kv_blocks, int64_t context, const std::string& packed_path, nb::bytes packed_key,
                                bool may_copy, nb::object progress) {
  require(kv_blocks >= 1 && kv_blocks <= INT32_MAX, "the KV cache needs at least one block");
  require(context >= 0 && context <= file->h.context, "the context is longer than the model was trained for");
  PackedFile kept{packed_path, {}, may_copy};
  require(packed_path.empty() || packed_key.size() == kept.key.size(), "the key of packed weights has 32 bytes");
  if (!packed_path.empty()) std::memcpy(kept.key.data(), packed_key.c_str(), kept.key.size());
  const LoadProgress report = report_to(std::move(progress));
  nb::gil_scoped_release release;
  return std::make_unique<PyDecoder>(std::move(file), threads, isa, kv_type, kv_blocks, context,
                                     packed_path.empty() ? nullptr : &kept, report);
}

}  // namespace

void bind_model(nb::module_& module) {
  nb::class_<PyDecoder>(module, "Decoder")
      .def_static("load", &load, nb::arg("file"), nb::arg("threads"), nb::arg("isa"), nb::arg("kv_type"),
                  nb::arg("kv_blocks"), nb::arg("context"), nb::arg("packed_path"), nb::arg("packed_key"), nb::arg("may_copy"),
                  nb::arg("progress").none())
      .def_prop_ro("vocab_size", &PyDecoder::vocab)
      .def_prop_ro("context_length", &PyDecoder::context)
      .def_prop_ro("kv_blocks", &PyDecoder::blocks)
      .def_prop_ro("threads", &PyDecoder::threads)
      .def("step", &PyDecoder::step, nb::arg("batch"), nb::arg("want_logits"))
      .def_prop_ro("block_bytes", &PyDecoder::block_content_bytes)
      .def("read_block", &PyDecoder::read_block, nb::arg("block"))
      .def("write_block", &PyDecoder::write_block, nb::arg("block"), nb::arg("content"));
}

}  // namespace sillar::bind
