// Unigram's split as Python sees it: a vocabulary's lists in, tokens of a text out.
#include "model/unigram.h"

#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bind/bind.h"

namespace sillar::bind {
namespace {

Unigram make_unigram(const nb::list& pieces, const std::vector<int32_t>& tokens, const std::vector<double>& scores,
                     int32_t unknown, double unknown_score) {
  require(pieces.size() == tokens.size() && pieces.size() == scores.size(), "a token and a score for each piece");
  std::vector<Unigram::Piece> known;
  known.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i)
    known.push_back({nb::cast<std::string_view>(pieces[i]), tokens[i], scores[i]});
  return {known, unknown, unknown_score};
}

}  // namespace

void bind_unigram(nb::module_& module) {
  nb::class_<Unigram>(module, "Unigram", "The pieces of a unigram vocabulary, for the likeliest split of a text.")
      .def("__init__",
           [](Unigram* self, const nb::list& pieces, const std::vector<int32_t>& tokens,
              const std::vector<double>& scores, int32_t unknown, double unknown_score) {
             new (self) Unigram(make_unigram(pieces, tokens, scores, unknown, unknown_score));
           },
           nb::arg("pieces"), nb::arg("tokens"), nb::arg("scores"), nb::arg("unknown"), nb::arg("unknown_score"))
      .def("split", &Unigram::split, nb::arg("text"), "The tokens of the split with the best sum of scores.");
}

}  // namespace sillar::bind
