// A pool of worker threads that deals a counted range in small pieces: to each worker its share, and to those who
// are done what is left of the others'. Waits spin for a bounded time and then sleep, so a neighbour that takes a core
// costs that share and no more.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace sillar {

// A non-owning reference to a callable `void(int64_t task, int worker)`.
class TaskRef {
 public:
  TaskRef() = default;
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, TaskRef>)
  TaskRef(const F& f)  // NOLINT: implicit by design
      : object_(&f), call_([](const void* o, int64_t task, int worker) {
          (*static_cast<const F*>(o))(task, worker);
        }) {}
  void operator()(int64_t task, int worker) const { call_(object_, task, worker); }

 private:
  const void* object_ = nullptr;
  void (*call_)(const void*, int64_t, int) = nullptr;
};

struct ThreadOptions {
  int threads = 1;                 // workers, the caller's thread among them
  std::vector<int> cpus;           // the CPUs that workers may run on; empty: all of the process's
  int64_t spin_ns = 50'000;        // how long a wait spins before it sleeps
};

class ThreadPool {
 public:
  explicit ThreadPool(const ThreadOptions& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls fn(task, worker) once for every task in [0, tasks), worker in [0, size()); returns when
  // all are done. The calling thread works too. Not reentrant; one caller at a time. fn must not throw.
  void run(int64_t tasks, TaskRef fn);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sillar
