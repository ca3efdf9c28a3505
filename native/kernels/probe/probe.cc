// The probes' timing: all workers run the same loop in pieces of about a millisecond until time is up.
#include "kernels/probe.h"

#include <time.h>

#include <chrono>
#include <vector>

#include "kernels/isa_entries.h"

namespace sillar::kernels {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Of this thread alone: what a neighbour takes of the core does not lower the core's limit.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

const ProbeKernels* probe_kernels(const Cpu& cpu, Isa isa) {
  if (isa == Isa::avx2 && cpu.avx2) return probe_avx2();
  if (isa == Isa::avx512 && cpu.avx512 && cpu.avx512_vnni) return probe_avx512();
  return nullptr;
}

double probe_operations(const ProbeLoop& loop, ThreadPool& pool, double seconds) {
  constexpr int64_t rounds = 1 << 16;
  const int workers = pool.size();
  std::vector<double> rates(workers, 0.0);
  pool.run(workers, [&](int64_t task, int) {
    loop.run(rounds);  // wakes the wide units up
    const double begin = thread_seconds();
    int64_t done = 0;
    do {
      loop.run(rounds);
      done += rounds;
    } while (thread_seconds() - begin < seconds);
    rates[task] = static_cast<double>(done) * loop.ops / (thread_seconds() - begin);
  });
  double total = 0;
  for (double rate : rates) total += rate;
  return total;
}

double probe_read(const ProbeKernels& kernels, ThreadPool& pool, const std::byte* data, size_t bytes,
                  double seconds) {
  constexpr size_t piece = size_t{1} << 20;
  const auto pieces = static_cast<int64_t>(bytes / piece);
  const auto begin = Clock::now();
  int64_t passes = 0;
  do {
    pool.run(pieces, [&](int64_t task, int) { kernels.read(data + task * piece, piece); });
    ++passes;
  } while (seconds_since(begin) < seconds);
  return static_cast<double>(passes) * static_cast<double>(pieces * piece) / seconds_since(begin);
}

}  // namespace sillar::kernels
