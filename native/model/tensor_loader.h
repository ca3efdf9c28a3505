// Takes tensors out of a GGUF file: checks names and shapes, packs matrices in parallel, and gives
// the file's pages back as it goes, so that a model is never in memory twice.
#pragma once

#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "model/gguf.h"
#include "model/packed_file.h"

namespace sillar {

// A packed matrix [rows, cols] and the bias that is added to its product, or null.
struct Matrix {
  kernels::PackedMatrix packed;
  const float* bias = nullptr;

  bool present() const { return packed.data != nullptr; }
  // Float weights read fp32 activations, quantised ones int8.
  bool reads_f32() const;
};

// Called between matrices with the bytes packed so far and in all. May throw to stop the load.
using LoadProgress = std::function<void(uint64_t done, uint64_t total)>;

// Owns what the loaded views point to.
struct WeightStorage {
  std::vector<Buffer> buffers;
  FileMapping packed;  // the matrices, where they are kept on disk
};

// What matrices are packed to: their own type, or the one that many tokens at once pass fastest.
enum class Packing { as_stored, for_batches };

class TensorLoader {
 public:
  TensorLoader(const Gguf& file, const FileMapping& mapping, Packing packing = Packing::as_stored)
      : file_(file), mapping_(mapping), packing_(packing) {}

  // Reserves a matrix that pack() fills. `out` must stay where it is until then.
  void matrix(const std::string& name, int64_t rows, int64_t cols, Matrix& out);
  // The same with a bias "<stem>.bias" where the file has one; the matrix is "<stem>.weight".
  void linear(const std::string& stem, int64_t rows, int64_t cols, Matrix& out);
  // An fp32 vector of n values; null when absent and not `required`. Valid until pack() is done and after.
  const float* vector(const std::string& name, int64_t n, bool required);
  // A matrix to read row by row, as it lies in the file.
  WeightView view(const std::string& name, int64_t cols);

  bool has(const std::string& name) const { return file_.tensor(name) != nullptr; }
  void ignore(const std::string& name) { used_.insert(name); }
  // Throws Error(unsupported) when the file holds a tensor that nobody asked for.
  void check_all_used() const;

  uint64_t packed_bytes() const { return packed_bytes_; }
  // Packs everything that was reserved; with `kept`, takes it from there, or leaves it there.
  WeightStorage pack(ThreadPool& pool, const LoadProgress& progress, const PackedFile* kept = nullptr);

 private:
  struct Job {
    WeightView source;
    WeightType type;  // packed
    Matrix* target;
    uint64_t offset;
  };
  void pack_jobs(std::byte* storage, ThreadPool& pool, const LoadProgress& progress);
  Buffer copied(const FileMapping& packed, ThreadPool& pool) const;
  const GgufTensor& need(const std::string& name, int64_t rows, int64_t cols);

  const Gguf& file_;
  const FileMapping& mapping_;
  Packing packing_;
  std::unordered_set<std::string> used_;
  std::vector<Job> jobs_;
  std::vector<Buffer> vectors_;
  uint64_t packed_bytes_ = 0;
};

}  // namespace sillar
