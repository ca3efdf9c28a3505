// The pool. Each worker has a seat, one line of memory that the caller and it pass to each other: cores may be
// far apart, and what they share then costs a quarter of a microsecond each time. A worker whose seat is called takes
// the tasks of its own share, then what is left of the others'. The caller works too, then takes back the seats of
// those who did not come, and waits only for those who are at work: one that sleeps, or was descheduled
// before it came, costs nothing.
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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

enum class Call { none, called, at_work };

struct alignas(64) Seat {
  std::atomic<Call> call{Call::none};
  // The share: written while nobody is at work.
  std::atomic<int64_t> next{0};
  int64_t end = 0;
  TaskRef fn;
};

void pin(std::thread& thread, const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  if (CPU_COUNT(&set) > 0) pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

}  // namespace

struct ThreadPool::State {
  std::vector<Seat> seats;  // of each worker; the caller's is the first, and never called
  alignas(64) std::atomic<int> sleeping_workers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<bool> stop{false};

  std::mutex mutex;
  std::condition_variable wake_workers;
  std::condition_variable wake_caller;
  std::vector<std::thread> threads;
  int64_t spin_ns = 0;
  pid_t owner = 0;

  explicit State(const ThreadOptions& options)
      : seats(static_cast<size_t>(std::max(1, options.threads))), spin_ns(options.spin_ns), owner(getpid()) {}

  // A worker's share is the same part of the tasks in every job: what it wrote is near to it when it reads.
  void deal(int64_t tasks, TaskRef fn) {
    const auto workers = static_cast<int64_t>(seats.size());
    for (int64_t i = 0; i < workers; ++i) {
      Seat& seat = seats[static_cast<size_t>(i)];
      seat.next.store(tasks * i / workers, std::memory_order_relaxed);
      seat.end = tasks * (i + 1) / workers;
      seat.fn = fn;
    }
  }

  void take_tasks(size_t worker) {
    const TaskRef fn = seats[worker].fn;
    for (size_t i = 0; i < seats.size(); ++i) {
      Seat& share = seats[(worker + i) % seats.size()];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task < share.end) fn(task, static_cast<int>(worker));
      }
    }
  }

  void work(size_t worker) {
    std::atomic<Call>& call = seats[worker].call;
    const auto called = [&] {
      return call.load(std::memory_order_seq_cst) == Call::called || stop.load(std::memory_order_seq_cst);
    };
    while (!stop.load(std::memory_order_acquire)) {
      if (!spin_until(spin_ns, called)) {
        std::unique_lock lock(mutex);
        sleeping_workers.fetch_add(1, std::memory_order_seq_cst);
        wake_workers.wait(lock, called);
        sleeping_workers.fetch_sub(1, std::memory_order_seq_cst);
      }
      Call expected = Call::called;
      if (!call.compare_exchange_strong(expected, Call::at_work, std::memory_order_acquire)) continue;
      take_tasks(worker);
      call.store(Call::none, std::memory_order_seq_cst);
      if (caller_sleeps.load(std::memory_order_seq_cst)) {
        { const std::lock_guard lock(mutex); }
        wake_caller.notify_one();
      }
    }
  }

  void call_workers() {
    for (size_t i = 1; i < seats.size(); ++i) seats[i].call.store(Call::called, std::memory_order_release);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeping_workers.load(std::memory_order_seq_cst) > 0) wake();
  }

  void wake() {
    { const std::lock_guard lock(mutex); }
    wake_workers.notify_all();
  }

  // Takes the calls back that nobody followed, waits for who is at work.
  void wait_for_workers() {
    for (size_t i = 1; i < seats.size(); ++i) {
      std::atomic<Call>& call = seats[i].call;
      Call expected = Call::called;
      if (call.load(std::memory_order_relaxed) == Call::called &&
          call.compare_exchange_strong(expected, Call::none, std::memory_order_relaxed))
        continue;
      const auto done = [&] { return call.load(std::memory_order_seq_cst) == Call::none; };
      if (spin_until(spin_ns, done)) continue;
      // It lost its core. Sleeping hands ours over, so that it can go on there.
      std::unique_lock lock(mutex);
      caller_sleeps.store(true, std::memory_order_seq_cst);
      wake_caller.wait(lock, done);
      caller_sleeps.store(false, std::memory_order_seq_cst);
    }
  }
};

ThreadPool::ThreadPool(const ThreadOptions& options) : state_(std::make_unique<State>(options)) {
  for (size_t worker = 1; worker < state_->seats.size(); ++worker) {
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
  state_->wake();
  for (std::thread& thread : state_->threads) thread.join();
}

int ThreadPool::size() const { return static_cast<int>(state_->seats.size()); }

void ThreadPool::run(int64_t tasks, TaskRef fn) {
  State& s = *state_;
  if (tasks <= 1 || s.threads.empty() || getpid() != s.owner) {
    for (int64_t task = 0; task < tasks; ++task) fn(task, 0);
    return;
  }
  s.deal(tasks, fn);
  s.call_workers();
  s.take_tasks(0);
  s.wait_for_workers();
}

}  // namespace sillar
