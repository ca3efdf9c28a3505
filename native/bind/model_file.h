// Shared by the files that bind models: where a model runs, and how a load reports its progress.
#pragma once

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/threads.h"
#include "bind/bind.h"
#include "model/compute.h"
#include "model/weights.h"

namespace sillar::bind {

using SharedFile = std::shared_ptr<ModelFile>;

// Kernels and threads of one model. threads 0: what the processor and its quota allow.
struct Runtime {
  Runtime(const ModelFile& file, int threads, const std::string& isa);
  kernels::Table table;
  ThreadPool pool;
  Compute compute;
};

// Calls `progress` (None or callable(done, total)) with the GIL, and lets Ctrl-C stop the load.
LoadProgress report_to(nb::object progress);

kernels::KvType kv_type_named(std::string_view name);

}  // namespace sillar::bind
