// What this processor and this process may use: instruction sets (CPUID and OS state), caches,
// affinity mask, cgroup CPU quota, SMT siblings, NUMA nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sillar::kernels {

struct Cpu {
  std::string name;
  bool avx2 = false;         // AVX2 + FMA + F16C, and the OS saves ymm
  bool avx512 = false;       // F, BW, DQ, VL, CD and the OS saves zmm
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool avx512_vbmi = false;
  bool amx_int8 = false;     // and the kernel granted the tile permission
  bool amx_bf16 = false;
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;
  std::vector<int> allowed;        // CPUs of the affinity mask
  std::vector<int> physical;       // one CPU of `allowed` for each physical core
  double quota = 0;                // CPUs of the cgroup quota; 0: none
  int numa_nodes = 1;
  int threads = 1;                 // what a pool should use: min(physical cores, quota rounded down), at least 1
  std::string threads_reason;      // one sentence for `sillar doctor`
};

// Reads the processor and the process's limits anew at each call.
Cpu detect_cpu();

}  // namespace sillar::kernels
