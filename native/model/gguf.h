// A parser of GGUF v2 and v3 over bytes that it does not own. The file is hostile input: every
// count, length, offset and type is checked before use. Format: github.com/ggml-org/ggml docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/tensor.h"

namespace sillar {

enum class GgufType : uint32_t {
  u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6, boolean = 7, string = 8, array = 9,
  u64 = 10, i64 = 11, f64 = 12,
};

// A metadata value as it lies in the file. A scalar is an array of one.
struct GgufValue {
  GgufType type = GgufType::u8;  // of the elements
  bool is_array = false;
  uint64_t count = 1;
  const std::byte* data = nullptr;  // strings: each a uint64 length and its bytes, all inside the file
};

struct GgufTensor {
  std::string_view name;
  WeightType type = WeightType::f32;
  int64_t shape[4] = {1, 1, 1, 1};  // fastest first, as the file has it
  int dims = 0;
  const std::byte* data = nullptr;
  uint64_t bytes = 0;

  // rows x cols; only for tensors of one or two dimensions.
  WeightView view() const { return {type, shape[1], shape[0], data}; }
};

class Gguf {
 public:
  // Throws Error(file_format) or Error(unsupported). The bytes must outlive this object.
  // Without `with_tensors` only the metadata is read.
  Gguf(const std::byte* data, size_t bytes, bool with_tensors = true);

  const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  const GgufValue* find(std::string_view key) const;         // null: not there
  const GgufTensor* tensor(std::string_view name) const;     // null: not there

  // Typed access. Missing: nullopt. Another type, or a value out of range: Error(file_format).
  std::optional<int64_t> integer(std::string_view key, int64_t low, int64_t high) const;
  std::optional<double> real(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;

 private:
  class Reader;
  void read_metadata(Reader& reader, uint64_t count);
  void read_tensors(Reader& reader, uint64_t count);
  void read_tensor(Reader& reader, uint64_t alignment);
  void place_tensors(uint64_t data_begin, uint64_t file_bytes, const std::byte* file);

  std::vector<std::pair<std::string_view, GgufValue>> metadata_;
  std::unordered_map<std::string_view, size_t> keys_;
  std::vector<GgufTensor> tensors_;
  std::vector<uint64_t> offsets_;
  std::unordered_map<std::string_view, size_t> names_;
};

// Element `index` of a value; the caller has checked type and count.
int64_t gguf_integer(const GgufValue& value, uint64_t index);
double gguf_real(const GgufValue& value, uint64_t index);
bool gguf_is_integer(GgufType type);

// Calls fn(std::string_view) for each string of a value of type string.
template <class F>
void for_each_string(const GgufValue& value, F&& fn) {
  const std::byte* p = value.data;
  for (uint64_t i = 0; i < value.count; ++i) {
    uint64_t length = 0;
    __builtin_memcpy(&length, p, sizeof length);
    fn(std::string_view(reinterpret_cast<const char*>(p) + sizeof length, length));
    p += sizeof length + length;
  }
}

}  // namespace sillar
