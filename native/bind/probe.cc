// The processor's limits for benchmarks: `_native.kernels.probe(isa, what, cpus, seconds)`.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>

#include "bind/bind.h"
#include "kernels/probe.h"

namespace sillar::bind {

namespace {

constexpr size_t read_bytes = size_t{256} << 20;  // far past any cache level that a core can fill

kernels::Isa isa_of(const std::string& name) {
  for (auto isa : {kernels::Isa::avx2, kernels::Isa::avx512}) {
    if (name == kernels::isa_name(isa)) return isa;
  }
  throw Error(ErrorKind::unsupported, "no probe for the instruction set " + name);
}

double probe(const std::string& isa, const std::string& what, const std::vector<int>& cpus, double seconds) {
  require(!cpus.empty(), "cpus must name at least one CPU");
  kernels::Cpu cpu = kernels::detect_cpu();
  const auto* probes = kernels::probe_kernels(cpu, isa_of(isa));
  if (probes == nullptr) throw Error(ErrorKind::unsupported, "this processor does not run " + isa);
  ThreadPool pool({static_cast<int>(cpus.size()), cpus});
  if (what == "read") {
    Buffer memory(read_bytes);
    std::memset(memory.data(), 1, read_bytes);
    return kernels::probe_read(*probes, pool, memory.data(), read_bytes, seconds);
  }
  const bool has_bf16 = isa != "avx512" || cpu.avx512_bf16;
  kernels::ProbeLoop loop;
  if (what == "int8") loop = probes->int8;
  if (what == "bf16" && has_bf16) loop = probes->bf16;
  if (what == "fp32") loop = probes->fp32;
  return loop.run == nullptr ? 0.0 : kernels::probe_operations(loop, pool, seconds);
}

}  // namespace

void bind_probe(nb::module_& module) {
  kernels_module(module).def("probe", &probe, nb::arg("isa"), nb::arg("what"), nb::arg("cpus"),
                             nb::arg("seconds") = 0.1, nb::call_guard<nb::gil_scoped_release>(),
                             "Operations (int8, bf16, fp32) or bytes (read) a second of one pinned thread for "
                             "each of `cpus`, all together; 0 where the instruction set has no such operation.");
}

}  // namespace sillar::bind
