// The encoder as Python sees it: token arrays in, unit vectors or scores of pairs out.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <utility>
#include <vector>

#include "bind/model_file.h"
#include "model/encoder.h"

namespace sillar::bind {
namespace {

using Tokens = Array<const int32_t, nb::ndim<1>>;

class PyEncoder {
 public:
  PyEncoder(SharedFile file, int threads, const std::string& isa, const LoadProgress& progress)
      : file_(std::move(file)),
        runtime_(*file_, threads, isa),
        weights_(load_encoder_weights(*file_, runtime_.compute, progress)),
        encoder_(weights_, runtime_.compute) {}

  int64_t dim() const { return encoder_.dim(); }
  int64_t max_tokens() const { return encoder_.max_tokens(); }
  int64_t vocab() const { return weights_.h.vocab; }

  bool scores_pairs() const { return encoder_.scores_pairs(); }

  auto encode(const std::vector<Tokens>& arrays) {
    const auto texts = spans(arrays);
    auto out = new_array<float>({texts.size(), static_cast<size_t>(dim())});
    nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    encoder_.encode(texts, out.data());
    return out;
  }

  auto encode_tokens(const std::vector<Tokens>& arrays) {
    const auto texts = spans(arrays);
    size_t tokens = 0;
    for (const auto& text : texts) tokens += text.size();
    auto out = new_array<float>({texts.size(), static_cast<size_t>(dim())});
    auto rows = new_array<float>({tokens, static_cast<size_t>(dim())});
    {
      nb::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      encoder_.encode(texts, out.data(), rows.data());
    }
    return std::make_pair(std::move(out), std::move(rows));
  }

  auto score(const std::vector<Tokens>& arrays, const Tokens& first) {
    const auto texts = spans(arrays);
    auto out = new_array<float>({texts.size()});
    nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    encoder_.score(texts, {first.data(), first.size()}, out.data());
    return out;
  }

 private:
  static std::vector<std::span<const int32_t>> spans(const std::vector<Tokens>& arrays) {
    std::vector<std::span<const int32_t>> texts;
    texts.reserve(arrays.size());
    for (const Tokens& array : arrays) texts.emplace_back(array.data(), array.size());
    return texts;
  }

  SharedFile file_;
  Runtime runtime_;
  EncoderWeights weights_;
  Encoder encoder_;
  std::mutex mutex_;  // one call at a time
};

std::unique_ptr<PyEncoder> load(SharedFile file, int threads, const std::string& isa, nb::object progress) {
  const LoadProgress report = report_to(std::move(progress));
  nb::gil_scoped_release release;
  return std::make_unique<PyEncoder>(std::move(file), threads, isa, report);
}

}  // namespace

void bind_encoder(nb::module_& module) {
  nb::class_<PyEncoder>(module, "Encoder")
      .def_static("load", &load, nb::arg("file"), nb::arg("threads"), nb::arg("isa"), nb::arg("progress").none())
      .def_prop_ro("dim", &PyEncoder::dim)
      .def_prop_ro("max_tokens", &PyEncoder::max_tokens)
      .def_prop_ro("vocab_size", &PyEncoder::vocab)
      .def_prop_ro("scores_pairs", &PyEncoder::scores_pairs)
      .def("encode", &PyEncoder::encode, nb::arg("texts"))
      .def("encode_tokens", &PyEncoder::encode_tokens, nb::arg("texts"))
      .def("score", &PyEncoder::score, nb::arg("texts"), nb::arg("first"));
}

}  // namespace sillar::bind
