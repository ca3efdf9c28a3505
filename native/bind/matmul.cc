// Raw matrix products for tests and benchmarks: `_native.kernels.Weights`, `quantize`, `dequantize`.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "base/threads.h"
#include "bind/bind.h"
#include "kernels/kernels.h"

namespace sillar::bind {
namespace {

using Bytes = Array<const uint8_t, nb::ndim<2>>;
using Rows = Array<const float, nb::ndim<2>>;
using Row = Array<const float, nb::ndim<1>>;

const kernels::MatmulKernels& named_kernels(const std::string& name) {
  const kernels::Cpu cpu = kernels::detect_cpu();
  for (int i = 0; i <= int(kernels::Isa::amx); ++i) {
    const auto isa = kernels::Isa(i);
    if (name != kernels::isa_name(isa)) continue;
    const kernels::MatmulKernels* found = kernels::matmul_kernels(cpu, isa);
    if (found == nullptr) throw Error(ErrorKind::unsupported, "no matmul for " + name + " on this processor");
    return *found;
  }
  throw Error(ErrorKind::unsupported, "unknown instruction set " + name);
}

WeightView checked_view(uint32_t type, const Bytes& bytes, int64_t cols) {
  const WeightTypeInfo* info = weight_type_info(type);
  require(info != nullptr, "unknown weight type");
  require(cols > 0 && cols % info->block == 0, "cols must be a multiple of the type's block");
  require(int64_t(bytes.shape(1)) == cols / info->block * info->block_bytes, "weights: wrong row size");
  return {WeightType(type), int64_t(bytes.shape(0)), cols, reinterpret_cast<const std::byte*>(bytes.data())};
}

// Activations that own their memory.
struct QuantizedRows {
  QuantizedRows(const kernels::MatmulKernels& table, const Rows& x, bool keep_f32, int64_t scale_cols, bool shares) {
    const auto tokens = int64_t(x.shape(0)), cols = int64_t(x.shape(1));
    memory = Buffer(kernels::activation_bytes(tokens, cols, keep_f32) + 64);
    view = kernels::bind_activations(memory.data(), tokens, cols, keep_f32);
    view.scale_cols = scale_cols;
    view.shares_wanted = shares;
    for (int64_t t = 0; t < tokens; ++t) table.quantize(x.data() + t * cols, 0, cols, t, view);
  }
  Buffer memory;
  kernels::Activations view;
};

class Weights {
 public:
  Weights(uint32_t type, const Bytes& bytes, int64_t cols, bool for_batches) {
    const WeightView view = checked_view(type, bytes, cols);
    const WeightType packed = for_batches ? kernels::type_for_batches(view) : view.type;
    memory_ = Buffer(kernels::packed_bytes(packed, view.rows, cols));
    kernels::pack_rows(view, packed, 0, view.rows, memory_.data());
    matrix_ = {packed, view.rows, cols, memory_.data()};
  }

  size_t packed_bytes() const { return memory_.bytes(); }

  nb::ndarray<nb::numpy, float> matmul(const std::string& isa, const Rows& x, std::optional<Row> bias,
                                       std::optional<Rows> add_to, int threads) const {
    const kernels::MatmulKernels& table = named_kernels(isa);
    check_input(x);
    const QuantizedRows rows(table, x, keeps_f32(), kernels::activation_scale_cols(matrix_.type),
                             kernels::wants_shares(matrix_.type));
    const size_t tokens = x.shape(0);
    auto out = new_array<float>({tokens, size_t(matrix_.rows)});
    if (bias) require(int64_t(bias->shape(0)) == matrix_.rows, "bias: one value a row");
    if (add_to) {
      require(add_to->shape(0) == tokens && int64_t(add_to->shape(1)) == matrix_.rows, "add_to: wrong shape");
      std::copy(add_to->data(), add_to->data() + add_to->size(), out.data());
    }
    ThreadPool pool({.threads = threads, .cpus = {}});
    const auto scratch = worker_scratch(table, threads);
    run(table, pool, rows.view, {.out = out.data(), .bias = bias ? bias->data() : nullptr,
                                 .add_to_out = add_to.has_value()}, scratch);
    return out;
  }

  // Seconds of each of `repeats` products, after one that is not counted.
  std::vector<double> time(const std::string& isa, const Rows& x, int threads, int repeats) const {
    const kernels::MatmulKernels& table = named_kernels(isa);
    check_input(x);
    const QuantizedRows rows(table, x, keeps_f32(), kernels::activation_scale_cols(matrix_.type),
                             kernels::wants_shares(matrix_.type));
    Buffer out(x.shape(0) * size_t(matrix_.rows) * sizeof(float));
    ThreadPool pool({.threads = threads, .cpus = {}});
    const auto scratch = worker_scratch(table, threads);
    std::vector<double> seconds;
    nb::gil_scoped_release unlocked;
    for (int i = 0; i <= repeats; ++i) {
      const auto start = std::chrono::steady_clock::now();
      run(table, pool, rows.view, {.out = out.as<float>()}, scratch);
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      if (i > 0) seconds.push_back(elapsed.count());
    }
    return seconds;
  }

 private:
  bool keeps_f32() const {
    const WeightTypeInfo* info = weight_type_info(uint32_t(matrix_.type));
    return info != nullptr && info->block == 1;
  }

  void check_input(const Rows& x) const {
    require(int64_t(x.shape(1)) == matrix_.cols, "x: one column a weight column");
  }

  static std::vector<Buffer> worker_scratch(const kernels::MatmulKernels& table, int threads) {
    require(threads >= 1 && threads <= 1024, "threads: 1 to 1024");
    std::vector<Buffer> scratch;
    for (int i = 0; i < threads; ++i) scratch.emplace_back(table.scratch_bytes);
    return scratch;
  }

  // Deals the whole product in the table's own tiles; `task` gives the epilogue and out.
  void run(const kernels::MatmulKernels& table, ThreadPool& pool, const kernels::Activations& x,
           kernels::MatmulTask task, const std::vector<Buffer>& scratch) const {
    task.weights = &matrix_;
    task.x = &x;
    task.out_stride = matrix_.rows;
    const kernels::Tiling tile = table.tiling(matrix_, x.tokens, pool.size());
    const int64_t row_tiles = (matrix_.rows + tile.rows - 1) / tile.rows;
    const int64_t token_tiles = (x.tokens + tile.tokens - 1) / tile.tokens;
    pool.run(row_tiles * token_tiles, [&](int64_t i, int worker) {
      kernels::MatmulTask part = task;
      part.row_begin = i / token_tiles * tile.rows;
      part.row_end = std::min(part.row_begin + tile.rows, matrix_.rows);
      part.token_begin = i % token_tiles * tile.tokens;
      part.token_end = std::min(part.token_begin + tile.tokens, x.tokens);
      table.matmul(part, scratch[size_t(worker)].data());
    });
  }

  Buffer memory_;
  kernels::PackedMatrix matrix_;
};

nb::object quantize(const std::string& isa, const Rows& x, int64_t scale_cols) {
  require(scale_cols == 32 || scale_cols == 128 || scale_cols == 256, "scale_cols: 32, 128 or 256");
  const QuantizedRows rows(named_kernels(isa), x, false, scale_cols, true);
  const size_t tokens = x.shape(0), cols = x.shape(1);
  auto values = new_array<int8_t>({tokens, cols});
  auto scales = new_array<float>({tokens, cols / 32});
  auto sums = new_array<int16_t>({tokens, cols / 32 * 2});
  auto group_sums = new_array<int16_t>({tokens, cols / 32});
  auto group_sums_f32 = new_array<float>({tokens, cols / 32});
  for (size_t t = 0; t < tokens; ++t)
    std::copy_n(rows.view.values + int64_t(t) * rows.view.value_stride(), cols, values.data() + t * cols);
  std::copy_n(rows.view.scales, scales.size(), scales.data());
  std::copy_n(rows.view.sums, sums.size(), sums.data());
  std::copy_n(rows.view.group_sums, group_sums.size(), group_sums.data());
  std::copy_n(rows.view.group_sums_f32, group_sums_f32.size(), group_sums_f32.data());
  auto shares = new_array<int16_t>({tokens, (cols / 32 + 1) / 2 * 2});
  auto sum_shares = new_array<int16_t>({tokens, (cols / 32 + 1) / 2 * 2});
  auto block_scales = new_array<float>({tokens, (cols + 255) / 256});
  std::copy_n(rows.view.shares, shares.size(), shares.data());
  std::copy_n(rows.view.sum_shares, sum_shares.size(), sum_shares.data());
  std::copy_n(rows.view.block_scales, block_scales.size(), block_scales.data());
  return nb::make_tuple(values, scales, sums, group_sums, group_sums_f32, shares, sum_shares, block_scales);
}

nb::ndarray<nb::numpy, float> dequantize(const std::string& isa, uint32_t type, const Bytes& bytes, int64_t cols) {
  const WeightView view = checked_view(type, bytes, cols);
  const kernels::MatmulKernels& table = named_kernels(isa);
  auto out = new_array<float>({size_t(view.rows), size_t(cols)});
  for (int64_t r = 0; r < view.rows; ++r) table.dequantize_row(view, r, out.data() + r * cols);
  return out;
}

}  // namespace

void bind_matmul(nb::module_& module) {
  nb::module_ raw = kernels_module(module);
  nb::class_<Weights>(raw, "Weights", "A packed matrix; for_batches: as the type that an encoder gives it.")
      .def(nb::init<uint32_t, const Bytes&, int64_t, bool>(), nb::arg("type"), nb::arg("bytes"), nb::arg("cols"),
           nb::arg("for_batches") = false)
      .def_prop_ro("packed_bytes", &Weights::packed_bytes)
      .def("matmul", &Weights::matmul, nb::arg("isa"), nb::arg("x"), nb::arg("bias") = nb::none(),
           nb::arg("add_to") = nb::none(), nb::arg("threads") = 1,
           "x[tokens, cols] -> out[tokens, rows]; add_to: out is added to a copy of it.")
      .def("time", &Weights::time, nb::arg("isa"), nb::arg("x"), nb::arg("threads") = 1, nb::arg("repeats") = 5,
           "Seconds of each of `repeats` products.");
  raw.def("quantize", &quantize, nb::arg("isa"), nb::arg("x"), nb::arg("scale_cols") = 32,
          "values, scales, sums of 16, sums of 32 as int16 and as float, shares, sum_shares, block_scales of x[tokens, cols].");
  raw.def("dequantize", &dequantize, nb::arg("isa"), nb::arg("type"), nb::arg("bytes"), nb::arg("cols"));
}

}  // namespace sillar::bind
