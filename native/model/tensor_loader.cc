// Checks shapes, converts vectors to fp32, deals the packing to the pool.
#include "model/tensor_loader.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/half.h"

namespace sillar {
namespace {

constexpr uint64_t alignment = 64;
constexpr int64_t pack_tile_rows = 64;
constexpr uint64_t copied_at_once = 4 << 20;

float element(const GgufTensor& tensor, int64_t i) {
  if (tensor.type == WeightType::f32) {
    float value;
    std::memcpy(&value, tensor.data + i * 4, sizeof value);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, tensor.data + i * 2, sizeof half);
  return tensor.type == WeightType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
}

bool is_float(WeightType type) {
  return type == WeightType::f32 || type == WeightType::f16 || type == WeightType::bf16;
}

std::string shape_text(int64_t rows, int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

}  // namespace

bool Matrix::reads_f32() const { return is_float(packed.type); }

const GgufTensor& TensorLoader::need(const std::string& name, int64_t rows, int64_t cols) {
  const GgufTensor* tensor = file_.tensor(name);
  if (tensor == nullptr) {
    throw Error(ErrorKind::file_format, "the model file lacks the tensor " + name + "; download or convert it again");
  }
  if (tensor->dims > 2 || tensor->shape[0] != cols || tensor->shape[1] != rows) {
    throw Error(ErrorKind::file_format, "the tensor " + name + " should be " + shape_text(rows, cols) + " and is " +
                                            shape_text(tensor->shape[1], tensor->shape[0]));
  }
  used_.insert(name);
  return *tensor;
}

void TensorLoader::matrix(const std::string& name, int64_t rows, int64_t cols, Matrix& out) {
  const GgufTensor& tensor = need(name, rows, cols);
  const WeightType type = packing_ == Packing::for_batches ? kernels::type_for_batches(tensor.view()) : tensor.type;
  jobs_.push_back({tensor.view(), type, &out, packed_bytes_});
  const uint64_t bytes = kernels::packed_bytes(type, rows, cols);
  packed_bytes_ += (bytes + alignment - 1) / alignment * alignment;
}

void TensorLoader::linear(const std::string& stem, int64_t rows, int64_t cols, Matrix& out) {
  matrix(stem + ".weight", rows, cols, out);
  out.bias = vector(stem + ".bias", rows, false);
}

const float* TensorLoader::vector(const std::string& name, int64_t n, bool required) {
  if (!required && !has(name)) return nullptr;
  const GgufTensor& tensor = need(name, 1, n);
  if (!is_float(tensor.type)) throw Error(ErrorKind::unsupported, "the vector " + name + " is quantised; convert the file anew");
  Buffer buffer(static_cast<size_t>(n) * sizeof(float));
  for (int64_t i = 0; i < n; ++i) buffer.as<float>()[i] = element(tensor, i);
  vectors_.push_back(std::move(buffer));
  return vectors_.back().as<float>();
}

WeightView TensorLoader::view(const std::string& name, int64_t cols) {
  const GgufTensor* tensor = file_.tensor(name);
  return need(name, tensor == nullptr ? 0 : tensor->shape[1], cols).view();
}

void TensorLoader::check_all_used() const {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (used_.count(std::string(tensor.name)) == 0) {
      throw Error(ErrorKind::unsupported,
                  "the file holds tensors that this engine does not know, such as " + std::string(tensor.name) +
                      "; its results would be wrong without them");
    }
  }
}

WeightStorage TensorLoader::pack(ThreadPool& pool, const LoadProgress& progress, const PackedFile* kept) {
  WeightStorage out;
  out.buffers = std::move(vectors_);
  const std::byte* storage = nullptr;
  if (kept != nullptr) {
    if (std::optional<FileMapping> mapped = open_packed(*kept, packed_bytes_, pool)) out.packed = std::move(*mapped);
    else if (PackedWriter writer(*kept, packed_bytes_); writer.payload() != nullptr) {
      pack_jobs(writer.payload(), pool, progress);
      out.packed = writer.commit(pool);
    }
    if (out.packed.data() != nullptr) storage = out.packed.data() + packed_header_bytes;
    if (storage != nullptr && kept->may_copy && buffers_get_huge_pages() && !out.packed.in_huge_pages()) {
      out.buffers.push_back(copied(out.packed, pool));
      out.packed = FileMapping();
      storage = out.buffers.back().data();
    }
  }
  if (storage == nullptr) {
    Buffer memory(packed_bytes_);
    pack_jobs(memory.data(), pool, progress);
    storage = memory.data();
    out.buffers.push_back(std::move(memory));
  }
  for (const Job& job : jobs_) {
    job.target->packed = {job.type, job.source.rows, job.source.cols, storage + job.offset};
  }
  if (progress) progress(packed_bytes_, packed_bytes_);
  return out;
}

Buffer TensorLoader::copied(const FileMapping& packed, ThreadPool& pool) const {
  Buffer memory(packed_bytes_);
  pool.run(static_cast<int64_t>((packed_bytes_ + copied_at_once - 1) / copied_at_once), [&](int64_t piece, int) {
    const uint64_t begin = static_cast<uint64_t>(piece) * copied_at_once;
    const uint64_t bytes = std::min(copied_at_once, packed_bytes_ - begin), at = packed_header_bytes + begin;
    std::memcpy(memory.data() + begin, packed.data() + at, bytes);
    packed.release(at, bytes);
  });
  return memory;
}

void TensorLoader::pack_jobs(std::byte* storage, ThreadPool& pool, const LoadProgress& progress) {
  for (const Job& job : jobs_) {
    const WeightView& source = job.source;
    const int64_t tiles = (source.rows + pack_tile_rows - 1) / pack_tile_rows;
    pool.run(tiles, [&](int64_t tile, int) {
      const int64_t begin = tile * pack_tile_rows;
      kernels::pack_rows(source, job.type, begin, std::min(begin + pack_tile_rows, source.rows), storage + job.offset);
    });
    const WeightTypeInfo& info = *weight_type_info(static_cast<uint32_t>(source.type));
    const auto bytes = static_cast<size_t>(source.rows * (source.cols / info.block) * info.block_bytes);
    mapping_.release(static_cast<size_t>(source.data - mapping_.data()), bytes);
    if (progress) progress(job.offset, packed_bytes_);
  }
}

}  // namespace sillar
