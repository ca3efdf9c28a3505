// What this processor can do at most: the limits that benchmarks measure kernels against. Each
// instruction set has loops that do nothing but its widest multiply-adds, from registers, and its loads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads.h"
#include "kernels/kernels.h"

namespace sillar::kernels {

// `run(rounds)` does rounds * ops operations; a multiply and an add count as two.
struct ProbeLoop {
  void (*run)(int64_t rounds) = nullptr;  // null: this processor or ISA has no such instruction
  double ops = 0;
};

struct ProbeKernels {
  Isa isa;
  ProbeLoop int8;  // u8 x s8 into int32
  ProbeLoop bf16;  // bf16 x bf16 into fp32
  ProbeLoop fp32;
  uint64_t (*read)(const std::byte* data, size_t bytes);  // bytes a multiple of 1024
};

// Null where the ISA has no probe or this processor cannot run it.
const ProbeKernels* probe_kernels(const Cpu& cpu, Isa isa);

// Operations a second of all the pool's workers together, each over `seconds` of its own processor time.
double probe_operations(const ProbeLoop& loop, ThreadPool& pool, double seconds);
// Bytes a second that the pool reads from `bytes` of memory, over and over for about `seconds`.
double probe_read(const ProbeKernels& kernels, ThreadPool& pool, const std::byte* data, size_t bytes,
                  double seconds);

}  // namespace sillar::kernels
