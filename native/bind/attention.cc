// Attention, raw: a paged cache written and read through an ISA's kernels, one sequence at a time.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/threads.h"
#include "bind/bind.h"
#include "kernels/kernels.h"

namespace sillar::bind {
namespace {

using kernels::AttentionKernels;
using Cube = Array<const float, nb::ndim<3>>;

// "avx512-bf16" stands for AVX-512 as on a processor without bf16, so that tests reach both files.
const AttentionKernels& table(const std::string& isa) {
  kernels::Cpu cpu = kernels::detect_cpu();
  if (isa != "avx512-bf16") return *kernels::choose_table(cpu, isa).attention;
  cpu.avx512_bf16 = false;
  return *kernels::choose_table(cpu, "avx512").attention;
}

// One layer's cache of one sequence: [tokens] through a block table that the caller may shuffle.
class KvCache {
 public:
  KvCache(const std::string& type, int64_t kv_heads, int64_t head_dim, Array<const int32_t, nb::ndim<1>> blocks)
      : blocks_(blocks.data(), blocks.data() + blocks.size()) {
    require(kv_heads > 0 && head_dim >= 16 && head_dim <= 256 && head_dim % 16 == 0, "KvCache: bad shape");
    require(type == "f16" || type == "bf16" || type == "int8", "KvCache: type must be f16, bf16 or int8");
    layout_.type = type == "f16" ? kernels::KvType::f16 : type == "bf16" ? kernels::KvType::bf16 : kernels::KvType::int8;
    layout_.kv_heads = kv_heads;
    layout_.head_dim = head_dim;
    int32_t largest = -1;
    for (const int32_t b : blocks_) {
      require(b >= 0, "KvCache: negative block");
      largest = std::max(largest, b);
    }
    const size_t bytes = size_t(largest + 1) * kernels::kv_block_bytes(layout_);
    k_ = Buffer(bytes);
    v_ = Buffer(bytes);
  }

  // k, v [tokens, kv_heads, head_dim], written at positions first, first + 1, ...
  void write(const std::string& isa, int64_t first, Cube k, Cube v) {
    const int64_t row = layout_.kv_heads * layout_.head_dim, tokens = int64_t(k.shape(0));
    require(int64_t(k.shape(1) * k.shape(2)) == row && k.size() == v.size(), "write: bad shape");
    require(first >= 0 && first + tokens <= capacity(), "write: past the block table");
    const size_t block_bytes = kernels::kv_block_bytes(layout_);
    const AttentionKernels& kernel = table(isa);
    for (int64_t i = 0; i < tokens; ++i) {
      const size_t offset = size_t(block_of(first + i)) * block_bytes;
      kernel.kv_write(layout_, k.data() + i * row, v.data() + i * row, k_.data() + offset, v_.data() + offset,
                          (first + i) % kernels::kv_block_tokens);
    }
  }

  // Fills both caches with a byte, as stale memory would be.
  void fill(uint8_t byte) {
    std::fill_n(k_.data(), k_.bytes(), std::byte(byte));
    std::fill_n(v_.data(), v_.bytes(), std::byte(byte));
  }

  // q [queries, kv_heads * heads_per_kv, head_dim]; tile: query rows a task (0: the kernel's own);
  // split: through partial results of kv_split_tokens and merge(). Returns q's shape. Runs `repeats` times.
  nb::ndarray<nb::numpy, float> attend(const std::string& isa, Cube q, int64_t first_position, int64_t window,
                                       float scale, int64_t tile, bool split, int threads, int64_t repeats) {
    const AttentionKernels& kernel = table(isa);
    const int64_t queries = int64_t(q.shape(0)), heads = int64_t(q.shape(1));
    require(int64_t(q.shape(2)) == layout_.head_dim && heads % layout_.kv_heads == 0, "attend: bad shape");
    require(heads / layout_.kv_heads <= 64, "attend: more than 64 heads a kv head");
    require(first_position >= 0 && first_position + queries <= capacity(), "attend: past the block table");
    if (tile <= 0 || tile > kernel.query_tile) tile = kernel.query_tile;
    auto out = new_array<float>({q.shape(0), q.shape(1), q.shape(2)});
    const size_t scratch_bytes = (kernel.scratch_bytes + 63) / 64 * 64;
    require(threads >= 1 && threads <= 256, "attend: threads must be in [1, 256]");
    Buffer scratch(scratch_bytes * size_t(threads));
    nb::gil_scoped_release release;
    ThreadPool pool({threads, {}});
    const int64_t tiles = (queries + tile - 1) / tile;
    for (int64_t i = 0; i < repeats; ++i)
      pool.run(layout_.kv_heads * tiles, [&](int64_t index, int worker) {
        const int64_t head = index % layout_.kv_heads, row = index / layout_.kv_heads * tile;
        kernels::AttentionTask task = base_task(heads, window, scale, head);
        task.first_position = first_position + row;
        task.queries = std::min(tile, queries - row);
        const int64_t offset = row * task.q_stride + head * task.heads_per_kv * layout_.head_dim;
        task.q = q.data() + offset;
        task.out = out.data() + offset;
        std::byte* memory = scratch.data() + size_t(worker) * scratch_bytes;
        split ? run_split(kernel, task, memory) : kernel.attention(task, memory);
      });
    return out;
  }

 private:
  int64_t capacity() const { return int64_t(blocks_.size()) * kernels::kv_block_tokens; }
  int32_t block_of(int64_t position) const { return blocks_[size_t(position / kernels::kv_block_tokens)]; }

  kernels::AttentionTask base_task(int64_t heads, int64_t window, float scale, int64_t kv_head) const {
    kernels::AttentionTask task;
    task.layout = layout_;
    task.k = k_.data();
    task.v = v_.data();
    task.blocks = blocks_.data();
    task.window = window;
    task.heads_per_kv = heads / layout_.kv_heads;
    task.kv_head = kv_head;
    task.scale = scale;
    task.q_stride = task.out_stride = heads * layout_.head_dim;
    return task;
  }

  void run_split(const AttentionKernels& kernel, kernels::AttentionTask task, std::byte* scratch) const {
    const int64_t end = task.first_position + task.queries;
    const int64_t splits = (end + kernels::kv_split_tokens - 1) / kernels::kv_split_tokens;
    const int64_t stride = task.queries * task.heads_per_kv * (layout_.head_dim + 2);
    std::vector<float> partial(size_t(splits * stride));
    for (int64_t i = 0; i < splits; ++i) {
      task.kv_begin = i * kernels::kv_split_tokens;
      task.kv_end = task.kv_begin + kernels::kv_split_tokens;
      task.partial = partial.data() + i * stride;
      kernel.attention(task, scratch);
    }
    kernel.merge(task, partial.data(), stride, splits);
  }

  kernels::KvLayout layout_;
  std::vector<int32_t> blocks_;
  Buffer k_, v_;
};

// q, k, v [tokens, heads, head_dim] -> the same shape; every token sees every token.
nb::ndarray<nb::numpy, float> encoder_attention(const std::string& isa, Cube q, Cube k, Cube v, float scale,
                                                int64_t repeats) {
  const size_t heads = q.shape(1), dim = q.shape(2);
  require(q.size() == k.size() && q.size() == v.size() && q.shape(0) == k.shape(0) && dim % 16 == 0 && dim <= 256,
          "encoder_attention: bad shape");
  auto out = new_array<float>({q.shape(0), heads, dim});
  const AttentionKernels& kernel = table(isa);
  Buffer scratch(kernel.scratch_bytes);
  nb::gil_scoped_release release;
  for (size_t i = 0; i < heads * size_t(repeats); ++i) {
    const size_t head = i % heads;
    kernels::EncoderAttentionTask task;
    task.q = q.data() + head * dim;
    task.k = k.data() + head * dim;
    task.v = v.data() + head * dim;
    task.stride = task.out_stride = int64_t(heads * dim);
    task.tokens = int64_t(q.shape(0));
    task.head_dim = int64_t(dim);
    task.scale = scale;
    task.out = out.data() + head * dim;
    kernel.encoder_attention(task, scratch.data());
  }
  return out;
}

}  // namespace

void bind_attention(nb::module_& module) {
  nb::module_ raw = kernels_module(module);
  nb::class_<KvCache>(raw, "KvCache")
      .def(nb::init<const std::string&, int64_t, int64_t, Array<const int32_t, nb::ndim<1>>>(), nb::arg("type"),
           nb::arg("kv_heads"), nb::arg("head_dim"), nb::arg("blocks"))
      .def("write", &KvCache::write, nb::arg("isa"), nb::arg("first"), nb::arg("k"), nb::arg("v"))
      .def("fill", &KvCache::fill, nb::arg("byte"))
      .def("attend", &KvCache::attend, nb::arg("isa"), nb::arg("q"), nb::arg("first_position"), nb::arg("window") = 0,
           nb::arg("scale") = 1.0f, nb::arg("tile") = 0, nb::arg("split") = false,
           nb::arg("threads") = 1, nb::arg("repeats") = 1);
  raw.def("encoder_attention", &encoder_attention, nb::arg("isa"), nb::arg("q"), nb::arg("k"), nb::arg("v"),
          nb::arg("scale"), nb::arg("repeats") = 1);
}

}  // namespace sillar::bind
