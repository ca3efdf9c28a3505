// The candidates of each operation, best first, and the one choice between them. An ISA file's line here
// says what it needs; adding a file means adding its entry point to isa_entries.h and a line below.
#include <cstring>
#include <string>

#include "base/error.h"
#include "kernels/attention/layout.h"
#include "kernels/isa_entries.h"

namespace sillar::kernels {
namespace {

template <class Kernels>
struct Candidate {
  Isa isa;
  bool (*runs_on)(const Cpu&);
  const Kernels* (*kernels)();
};

bool anywhere(const Cpu&) { return true; }
bool has_avx2(const Cpu& cpu) { return cpu.avx2; }
[[maybe_unused]] bool has_avx512(const Cpu& cpu) { return cpu.avx512; }
bool has_avx512_vnni(const Cpu& cpu) { return cpu.avx512_vnni; }
bool has_avx512_bf16(const Cpu& cpu) { return cpu.avx512_bf16 && cpu.avx512_vnni; }
[[maybe_unused]] bool has_amx_int8(const Cpu& cpu) { return cpu.amx_int8 && cpu.avx512_vnni; }

constexpr Candidate<MatmulKernels> matmul_candidates[] = {
    {Isa::avx512, has_avx512_vnni, matmul_avx512},
    {Isa::avx2, has_avx2, matmul_avx2},
    {Isa::reference, anywhere, matmul_reference},
};

constexpr Candidate<AttentionKernels> attention_candidates[] = {
    {Isa::avx512, has_avx512_bf16, attention_avx512_bf16},
    {Isa::avx512, has_avx512_vnni, attention_avx512},
    {Isa::avx2, has_avx2, attention_avx2},
    {Isa::reference, anywhere, attention_reference},
};

constexpr Candidate<VectorKernels> vector_candidates[] = {
    {Isa::avx512, has_avx512_vnni, vector_avx512},
    {Isa::avx2, has_avx2, vector_avx2},
    {Isa::reference, anywhere, vector_reference},
};

template <class Kernels, size_t n>
const Kernels* find(const Candidate<Kernels> (&candidates)[n], const Cpu& cpu, Isa isa) {
  for (const auto& candidate : candidates)
    if (candidate.isa == isa && candidate.runs_on(cpu)) return candidate.kernels();
  return nullptr;
}

template <class Kernels, size_t n>
const Kernels* best(const Candidate<Kernels> (&candidates)[n], const Cpu& cpu, Isa limit) {
  for (const auto& candidate : candidates)
    if (candidate.isa <= limit && candidate.runs_on(cpu)) return candidate.kernels();
  return nullptr;
}

constexpr Isa all_isas[] = {Isa::reference, Isa::avx2, Isa::avx512, Isa::amx};

bool runs(const Cpu& cpu, Isa isa) {
  return matmul_kernels(cpu, isa) || attention_kernels(cpu, isa) || vector_kernels(cpu, isa);
}

Isa parse_isa(const Cpu& cpu, std::string_view name) {
  std::string known;
  for (const Isa isa : all_isas) {
    if (name == isa_name(isa)) {
      if (runs(cpu, isa)) return isa;
      throw Error(ErrorKind::unsupported, "instruction set '" + std::string(name) + "' is not available here");
    }
    known += std::string(known.empty() ? "" : ", ") + isa_name(isa);
  }
  throw Error(ErrorKind::unsupported, "unknown instruction set '" + std::string(name) + "' (known: " + known + ")");
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::reference: return "reference";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::amx: return "amx";
  }
  return "unknown";
}

size_t kv_block_bytes(const KvLayout& layout) {
  return static_cast<size_t>(layout.kv_heads * kv_tile_bytes(layout));
}

const MatmulKernels* matmul_kernels(const Cpu& cpu, Isa isa) { return find(matmul_candidates, cpu, isa); }

const AttentionKernels* attention_kernels(const Cpu& cpu, Isa isa) {
  return find(attention_candidates, cpu, isa);
}

const VectorKernels* vector_kernels(const Cpu& cpu, Isa isa) { return find(vector_candidates, cpu, isa); }

Table choose_table(const Cpu& cpu, std::string_view isa) {
  const Isa limit = isa.empty() ? Isa::amx : parse_isa(cpu, isa);
  return {best(matmul_candidates, cpu, limit), best(attention_candidates, cpu, limit), best(vector_candidates, cpu, limit)};
}

}  // namespace sillar::kernels
