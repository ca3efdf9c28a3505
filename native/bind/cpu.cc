// What the processor has and which kernels it gets, as a dict; and the thread pool for its tests.
#include "kernels/cpu.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "base/threads.h"
#include "bind/bind.h"
#include "kernels/kernels.h"

namespace sillar::bind {
namespace {

nb::dict cpu_info() {
  const kernels::Cpu cpu = kernels::detect_cpu();
  nb::dict info;
  info["name"] = cpu.name;
  info["avx2"] = cpu.avx2;
  info["avx512"] = cpu.avx512;
  info["avx512_vnni"] = cpu.avx512_vnni;
  info["avx512_bf16"] = cpu.avx512_bf16;
  info["avx512_vbmi"] = cpu.avx512_vbmi;
  info["amx_int8"] = cpu.amx_int8;
  info["amx_bf16"] = cpu.amx_bf16;
  info["l1d_bytes"] = cpu.l1d_bytes;
  info["l2_bytes"] = cpu.l2_bytes;
  info["l3_bytes"] = cpu.l3_bytes;
  info["allowed"] = cpu.allowed;
  info["physical"] = cpu.physical;
  info["quota"] = cpu.quota;
  info["numa_nodes"] = cpu.numa_nodes;
  info["threads"] = cpu.threads;
  info["threads_reason"] = cpu.threads_reason;
  nb::dict isas;
  for (const auto isa : {kernels::Isa::reference, kernels::Isa::avx2, kernels::Isa::avx512, kernels::Isa::amx}) {
    nb::list operations;
    if (kernels::matmul_kernels(cpu, isa)) operations.append("matmul");
    if (kernels::attention_kernels(cpu, isa)) operations.append("attention");
    if (kernels::vector_kernels(cpu, isa)) operations.append("vector");
    isas[kernels::isa_name(isa)] = operations;
  }
  info["isas"] = isas;
  return info;
}

// The ISA that each operation gets under the limit `isa`.
nb::dict chosen_isas(const std::string& isa) {
  const kernels::Table table = kernels::choose_table(kernels::detect_cpu(), isa);
  nb::dict chosen;
  if (table.matmul) chosen["matmul"] = kernels::isa_name(table.matmul->isa);
  if (table.attention) chosen["attention"] = kernels::isa_name(table.attention->isa);
  if (table.vector) chosen["vector"] = kernels::isa_name(table.vector->isa);
  return chosen;
}

// Runs `rounds` jobs of `tasks` tasks that each spin for `work` steps; how often each task ran.
std::vector<int64_t> pool_counts(int threads, int64_t tasks, int64_t rounds, int64_t work, int64_t spin_ns) {
  require(threads >= 1 && tasks >= 0 && rounds >= 0, "pool_counts: sizes must not be negative");
  std::vector<int64_t> counts(static_cast<size_t>(tasks), 0);
  nb::gil_scoped_release release;
  ThreadPool pool({threads, {}, spin_ns});
  for (int64_t round = 0; round < rounds; ++round)
    pool.run(tasks, [&](int64_t task, int) {
      for (volatile int64_t i = 0; i < work;) i = i + 1;
      ++counts[static_cast<size_t>(task)];
    });
  return counts;
}

}  // namespace

void bind_cpu(nb::module_& module) {
  module.def("cpu_info", &cpu_info, "What this processor and this process may use.");
  module.def("chosen_isas", &chosen_isas, nb::arg("isa") = "", "{operation: ISA} under the limit `isa`.");
  kernels_module(module).def("pool_counts", &pool_counts, nb::arg("threads"), nb::arg("tasks"), nb::arg("rounds"),
                             nb::arg("work") = 0, nb::arg("spin_ns") = 50'000);
}

}  // namespace sillar::bind
