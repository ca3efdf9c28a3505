// The vector operations, raw: an ISA's name and arrays in, arrays out.
#include <nanobind/stl/string.h>

#include "bind/bind.h"
#include "kernels/kernels.h"

namespace sillar::bind {
namespace {

using kernels::VectorKernels;
using Floats = Array<const float, nb::ndim<1>>;
using Rows = Array<const float, nb::ndim<2>>;
using HalfRows = Array<const uint16_t, nb::ndim<2>>;

const VectorKernels& table(const std::string& isa) { return *kernels::choose_table(kernels::detect_cpu(), isa).vector; }

auto rms_norm(const std::string& isa, Floats x, Floats weight, float eps) {
  require(x.size() == weight.size() && x.size() > 0, "rms_norm: x and weight differ in length");
  auto out = new_array<float>({x.size()});
  table(isa).rms_norm(x.data(), weight.data(), eps, int64_t(x.size()), out.data());
  return out;
}

auto layer_norm(const std::string& isa, Floats x, Floats weight, Floats bias, float eps) {
  require(x.size() == weight.size() && x.size() == bias.size() && x.size() > 0, "layer_norm: lengths differ");
  auto out = new_array<float>({x.size()});
  table(isa).layer_norm(x.data(), weight.data(), bias.data(), eps, int64_t(x.size()), out.data());
  return out;
}

auto rope(const std::string& isa, Rows x, Floats cos, Floats sin, bool halves) {
  const size_t heads = x.shape(0), dim = x.shape(1);
  require(cos.size() == sin.size() && 2 * cos.size() <= dim, "rope: cos and sin must be [rotary_dim / 2]");
  auto out = new_array<float>({heads, dim});
  for (size_t i = 0; i < x.size(); ++i) out.data()[i] = x.data()[i];
  const auto style = halves ? kernels::RopeStyle::halves : kernels::RopeStyle::interleaved;
  table(isa).rope(out.data(), cos.data(), sin.data(), int64_t(heads), int64_t(dim), int64_t(2 * cos.size()), style);
  return out;
}

auto silu_mul(const std::string& isa, Floats gate, Floats up) {
  require(gate.size() == up.size(), "silu_mul: lengths differ");
  auto out = new_array<float>({gate.size()});
  table(isa).silu_mul(gate.data(), up.data(), int64_t(gate.size()), out.data());
  return out;
}

auto gelu(const std::string& isa, Floats x) {
  auto out = new_array<float>({x.size()});
  table(isa).gelu(x.data(), int64_t(x.size()), out.data());
  return out;
}

auto add(const std::string& isa, Floats x, Floats y) {
  require(x.size() == y.size(), "add: lengths differ");
  auto out = new_array<float>({x.size()});
  for (size_t i = 0; i < y.size(); ++i) out.data()[i] = y.data()[i];
  table(isa).add(x.data(), int64_t(x.size()), out.data());
  return out;
}

auto softmax(const std::string& isa, Floats x, float scale) {
  auto out = new_array<float>({x.size()});
  table(isa).softmax(x.data(), int64_t(x.size()), scale, out.data());
  return out;
}

float max(const std::string& isa, Floats x) { return table(isa).max(x.data(), int64_t(x.size())); }

float dot(const std::string& isa, Floats a, Floats b) {
  require(a.size() == b.size(), "dot: lengths differ");
  return table(isa).dot(a.data(), b.data(), int64_t(a.size()));
}

auto scan_f16(const std::string& isa, Floats query, HalfRows rows) {
  require(rows.shape(1) == query.size(), "scan_f16: rows must be [n, dim]");
  auto out = new_array<float>({rows.shape(0)});
  table(isa).scan_f16(query.data(), rows.data(), int64_t(rows.shape(0)), int64_t(query.size()), out.data());
  return out;
}

auto top_k(const std::string& isa, Floats scores, int64_t k) {
  const int64_t n = int64_t(scores.size()), most = k < 0 ? 0 : k < n ? k : n;
  auto out = new_array<int64_t>({size_t(most)});
  table(isa).top_k(scores.data(), n, most, out.data());
  return out;
}

}  // namespace

void bind_vector(nb::module_& module) {
  nb::module_ raw = kernels_module(module);
  raw.def("rms_norm", &rms_norm);
  raw.def("layer_norm", &layer_norm);
  raw.def("rope", &rope);
  raw.def("silu_mul", &silu_mul);
  raw.def("gelu", &gelu);
  raw.def("add", &add);
  raw.def("softmax", &softmax);
  raw.def("max", &max);
  raw.def("dot", &dot);
  raw.def("scan_f16", &scan_f16);
  raw.def("top_k", &top_k);
}

}  // namespace sillar::bind
