// The pool. A job is open while its gate says so: a worker joins by counting itself in, takes tasks from
// one counter until none is left, and counts itself out. The caller works too, then closes the gate and
// waits only for workers that are inside: one that sleeps, or was descheduled before it joined, costs nothing.
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace sillar {
namespace {

inline void cpu_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Spins until done() or until the time is over; returns done().
template <class Done>
bool spin_until(int64_t spin_ns, Done done) {
  for (int i = 0; i < 64; ++i) {
    if (done()) return true;
    cpu_pause();
  }
  const int64_t end = now_ns() + spin_ns;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      cpu_pause();
    }
  } while (now_ns() < end);
  return done();
}

// The gate: bit 31 is `open`, bits 0..30 count the workers inside, bits 32..63 number the jobs, so that
// a worker that has left a job does not join the same one again.
constexpr uint64_t open_bit = uint64_t{1} << 31;
constexpr uint64_t inside_mask = open_bit - 1;
constexpr uint64_t job_unit = uint64_t{1} << 32;

void pin(std::thread& thread, const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  if (CPU_COUNT(&set) > 0) pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

}  // namespace

struct ThreadPool::State {
  alignas(64) std::atomic<uint64_t> gate{0};
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<int> sleeping_workers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<bool> stop{false};
  // The job: written while the gate is closed and nobody is inside.
  int64_t tasks = 0;
  const TaskRef* fn = nullptr;

  std::mutex mutex;
  std::condition_variable wake_workers;
  std::condition_variable wake_caller;
  std::vector<std::thread> threads;
  int64_t spin_ns = 0;
  pid_t owner = 0;

  void take_tasks(int worker) {
    const int64_t count = tasks;
    const TaskRef f = *fn;
    for (int64_t task = next.fetch_add(1, std::memory_order_relaxed); task < count;
         task = next.fetch_add(1, std::memory_order_relaxed))
      f(task, worker);
  }

  bool new_job(uint64_t last_job) const {
    const uint64_t seen = gate.load(std::memory_order_seq_cst);
    return ((seen & open_bit) != 0 && seen / job_unit != last_job) || stop.load(std::memory_order_seq_cst);
  }

  // Returns the job's number, or last_job where the gate closed before this worker was in.
  uint64_t join_and_work(int worker, uint64_t last_job) {
    uint64_t seen = gate.load(std::memory_order_acquire);
    do {
      if ((seen & open_bit) == 0) return last_job;
    } while (!gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel));
    take_tasks(worker);
    const uint64_t before = gate.fetch_sub(1, std::memory_order_seq_cst);
    if ((before & inside_mask) == 1 && caller_sleeps.load(std::memory_order_seq_cst)) {
      { const std::lock_guard lock(mutex); }
      wake_caller.notify_one();
    }
    return seen / job_unit;
  }

  void work(int worker) {
    uint64_t last_job = 0;
    while (!stop.load(std::memory_order_acquire)) {
      if (!spin_until(spin_ns, [&] { return new_job(last_job); })) {
        std::unique_lock lock(mutex);
        sleeping_workers.fetch_add(1, std::memory_order_seq_cst);
        wake_workers.wait(lock, [&] { return new_job(last_job); });
        sleeping_workers.fetch_sub(1, std::memory_order_seq_cst);
      }
      last_job = join_and_work(worker, last_job);
    }
  }

  void wake_sleepers() {
    if (sleeping_workers.load(std::memory_order_seq_cst) == 0) return;
    { const std::lock_guard lock(mutex); }
    wake_workers.notify_all();
  }

  void wait_until_empty() {
    const auto empty = [&] { return (gate.load(std::memory_order_seq_cst) & inside_mask) == 0; };
    if (spin_until(spin_ns, empty)) return;
    // Somebody inside lost its core. Sleeping hands ours over, so that it can go on there.
    std::unique_lock lock(mutex);
    caller_sleeps.store(true, std::memory_order_seq_cst);
    wake_caller.wait(lock, empty);
    caller_sleeps.store(false, std::memory_order_seq_cst);
  }
};

ThreadPool::ThreadPool(const ThreadOptions& options) : state_(std::make_unique<State>()) {
  state_->spin_ns = options.spin_ns;
  state_->owner = getpid();
  for (int worker = 1; worker < options.threads; ++worker) {
    state_->threads.emplace_back([state = state_.get(), worker] { state->work(worker); });
    if (!options.cpus.empty()) pin(state_->threads.back(), options.cpus);
  }
}

ThreadPool::~ThreadPool() {
  if (getpid() != state_->owner) {  // a forked child has no workers to join: leave everything as it is
    (void)state_.release();
    return;
  }
  state_->stop.store(true, std::memory_order_seq_cst);
  { const std::lock_guard lock(state_->mutex); }
  state_->wake_workers.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

int ThreadPool::size() const { return static_cast<int>(state_->threads.size()) + 1; }

void ThreadPool::run(int64_t tasks, TaskRef fn) {
  State& s = *state_;
  if (tasks <= 1 || s.threads.empty() || getpid() != s.owner) {
    for (int64_t task = 0; task < tasks; ++task) fn(task, 0);
    return;
  }
  s.tasks = tasks;
  s.fn = &fn;
  s.next.store(0, std::memory_order_relaxed);
  const uint64_t job = s.gate.load(std::memory_order_relaxed) / job_unit + 1;
  s.gate.store(job * job_unit | open_bit, std::memory_order_seq_cst);
  s.wake_sleepers();
  s.take_tasks(0);
  s.gate.fetch_and(~open_bit, std::memory_order_seq_cst);
  s.wait_until_empty();
}

}  // namespace sillar
