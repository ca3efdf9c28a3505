// Reads a GGUF header front to back with a bounds-checked reader, then places the tensors.
#include "model/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/error.h"

namespace sillar {
namespace {

constexpr uint64_t max_key_bytes = 65535;
constexpr uint64_t max_name_bytes = 255;
constexpr int64_t max_dimension = int64_t{1} << 40;

[[noreturn]] void malformed(const std::string& what) {
  throw Error(ErrorKind::file_format, "not a valid GGUF file: " + what + "; download it again");
}

uint64_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::u8: case GgufType::i8: case GgufType::boolean: return 1;
    case GgufType::u16: case GgufType::i16: return 2;
    case GgufType::u32: case GgufType::i32: case GgufType::f32: return 4;
    case GgufType::u64: case GgufType::i64: case GgufType::f64: return 8;
    default: return 0;
  }
}

template <class T>
T load(const std::byte* data, uint64_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (char c : name.substr(0, 80)) out += (c >= ' ' && c < 127) ? c : '?';
  return out + "\"";
}

}  // namespace

class Gguf::Reader {
 public:
  Reader(const std::byte* data, size_t bytes) : data_(data), bytes_(bytes) {}

  uint64_t left() const { return bytes_ - at_; }
  uint64_t at() const { return at_; }

  const std::byte* take(uint64_t bytes) {
    if (bytes > left()) malformed("it ends in the middle of its header");
    const std::byte* p = data_ + at_;
    at_ += bytes;
    return p;
  }
  uint32_t u32() { return load<uint32_t>(take(4), 0); }
  uint64_t u64() { return load<uint64_t>(take(8), 0); }

  std::string_view string() {
    const uint64_t length = u64();
    return {reinterpret_cast<const char*>(take(length)), length};
  }

  GgufValue value() {
    GgufValue value;
    value.type = static_cast<GgufType>(u32());
    if (value.type == GgufType::array) {
      value.is_array = true;
      value.type = static_cast<GgufType>(u32());
      value.count = u64();
    }
    value.data = data_ + at_;
    if (value.type == GgufType::string) {
      if (value.count > left() / 8) malformed("an array is longer than the file");
      for (uint64_t i = 0; i < value.count; ++i) string();
      return value;
    }
    const uint64_t size = scalar_bytes(value.type);
    if (size == 0) malformed("a metadata value of unknown type, or an array of arrays");
    if (value.count > left() / size) malformed("an array is longer than the file");
    take(value.count * size);
    return value;
  }

 private:
  const std::byte* data_;
  uint64_t bytes_;
  uint64_t at_ = 0;
};

Gguf::Gguf(const std::byte* data, size_t bytes, bool with_tensors) {
  Reader reader(data, bytes);
  if (bytes < 24 || std::memcmp(reader.take(4), "GGUF", 4) != 0) malformed("it does not start with GGUF");
  const uint32_t version = reader.u32();
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x02000000 || version == 0x03000000;
    throw Error(ErrorKind::unsupported, swapped ? "a big-endian GGUF file; use the little-endian one"
                                                : "GGUF version " + std::to_string(version) +
                                                      "; versions 2 and 3 are supported: convert the file anew");
  }
  const uint64_t n_tensors = reader.u64();
  const uint64_t n_metadata = reader.u64();
  read_metadata(reader, n_metadata);
  if (!with_tensors) return;
  read_tensors(reader, n_tensors);
  const auto alignment = static_cast<uint64_t>(integer("general.alignment", 8, 1 << 20).value_or(32));
  const uint64_t begin = reader.at() + (alignment - reader.at() % alignment) % alignment;
  if (begin > bytes && !tensors_.empty()) malformed("it ends before its tensors");
  place_tensors(begin, bytes, data);
}

void Gguf::read_metadata(Reader& reader, uint64_t count) {
  constexpr uint64_t smallest = 8 + 4 + 1;
  if (count > reader.left() / smallest) malformed("it promises more metadata than it holds");
  metadata_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = reader.string();
    if (key.empty() || key.size() > max_key_bytes) malformed("a metadata key of unreasonable length");
    const GgufValue value = reader.value();
    if (!keys_.emplace(key, metadata_.size()).second) malformed("the key " + quoted(key) + " is there twice");
    metadata_.emplace_back(key, value);
  }
}

void Gguf::read_tensors(Reader& reader, uint64_t count) {
  constexpr uint64_t smallest = 8 + 1 + 4 + 8 + 4 + 8;
  if (count > reader.left() / smallest) malformed("it promises more tensors than it holds");
  const auto alignment = static_cast<uint64_t>(integer("general.alignment", 8, 1 << 20).value_or(32));
  if ((alignment & (alignment - 1)) != 0) malformed("its alignment is not a power of two");
  tensors_.reserve(count);
  offsets_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) read_tensor(reader, alignment);
}

void Gguf::read_tensor(Reader& reader, uint64_t alignment) {
  GgufTensor tensor;
  tensor.name = reader.string();
  if (tensor.name.empty() || tensor.name.size() > max_name_bytes) malformed("a tensor name of unreasonable length");
  const uint32_t dims = reader.u32();
  if (dims < 1 || dims > 4) malformed("the tensor " + quoted(tensor.name) + " has " + std::to_string(dims) + " dimensions");
  tensor.dims = static_cast<int>(dims);
  uint64_t rows = 1;
  for (uint32_t d = 0; d < dims; ++d) {
    const uint64_t n = reader.u64();
    if (n < 1 || n > static_cast<uint64_t>(max_dimension)) malformed("the tensor " + quoted(tensor.name) + " has an impossible shape");
    tensor.shape[d] = static_cast<int64_t>(n);
    if (d > 0 && __builtin_mul_overflow(rows, n, &rows)) malformed("the tensor " + quoted(tensor.name) + " is too large");
  }
  const uint32_t type = reader.u32();
  const WeightTypeInfo* info = weight_type_info(type);
  if (info == nullptr) {
    throw Error(ErrorKind::unsupported, "the tensor " + quoted(tensor.name) + " has type number " + std::to_string(type) +
                ", which is not supported; choose a file in F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 or Q2_K to Q6_K");
  }
  tensor.type = static_cast<WeightType>(type);
  if (tensor.shape[0] % info->block != 0) malformed("the rows of " + quoted(tensor.name) + " are not whole blocks");
  const uint64_t row_bytes = static_cast<uint64_t>(tensor.shape[0] / info->block) * static_cast<uint64_t>(info->block_bytes);
  if (__builtin_mul_overflow(row_bytes, rows, &tensor.bytes)) malformed("the tensor " + quoted(tensor.name) + " is too large");
  const uint64_t offset = reader.u64();
  if (offset % alignment != 0) malformed("the tensor " + quoted(tensor.name) + " is not aligned");
  if (!names_.emplace(tensor.name, tensors_.size()).second) malformed("the tensor " + quoted(tensor.name) + " is there twice");
  tensors_.push_back(tensor);
  offsets_.push_back(offset);
}

void Gguf::place_tensors(uint64_t data_begin, uint64_t file_bytes, const std::byte* file) {
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [this](size_t a, size_t b) { return offsets_[a] < offsets_[b]; });
  uint64_t end = 0;
  for (size_t i : order) {
    GgufTensor& tensor = tensors_[i];
    if (offsets_[i] < end) malformed("the tensor " + quoted(tensor.name) + " overlaps another");
    const uint64_t room = file_bytes - data_begin;
    if (offsets_[i] > room || tensor.bytes > room - offsets_[i]) {
      malformed("the tensor " + quoted(tensor.name) + " reaches past the end of the file, which looks cut short");
    }
    tensor.data = file + data_begin + offsets_[i];
    end = offsets_[i] + tensor.bytes;
  }
}

const GgufValue* Gguf::find(std::string_view key) const {
  const auto it = keys_.find(key);
  return it == keys_.end() ? nullptr : &metadata_[it->second].second;
}

const GgufTensor* Gguf::tensor(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &tensors_[it->second];
}

bool gguf_is_integer(GgufType type) {
  return type != GgufType::f32 && type != GgufType::f64 && type != GgufType::boolean && scalar_bytes(type) != 0;
}

int64_t gguf_integer(const GgufValue& value, uint64_t i) {
  switch (value.type) {
    case GgufType::u8: case GgufType::boolean: return load<uint8_t>(value.data, i);
    case GgufType::i8: return load<int8_t>(value.data, i);
    case GgufType::u16: return load<uint16_t>(value.data, i);
    case GgufType::i16: return load<int16_t>(value.data, i);
    case GgufType::u32: return load<uint32_t>(value.data, i);
    case GgufType::i32: return load<int32_t>(value.data, i);
    // A number past int64 is past every range that a caller allows.
    case GgufType::u64: return static_cast<int64_t>(std::min<uint64_t>(load<uint64_t>(value.data, i), INT64_MAX));
    case GgufType::i64: return load<int64_t>(value.data, i);
    default: return 0;
  }
}

double gguf_real(const GgufValue& value, uint64_t i) {
  if (value.type == GgufType::f32) return load<float>(value.data, i);
  if (value.type == GgufType::f64) return load<double>(value.data, i);
  return static_cast<double>(gguf_integer(value, i));
}

std::optional<int64_t> Gguf::integer(std::string_view key, int64_t low, int64_t high) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || !gguf_is_integer(value->type)) malformed(quoted(key) + " is not an integer");
  const int64_t number = gguf_integer(*value, 0);
  if (number < low || number > high) malformed(quoted(key) + " is " + std::to_string(number) + ", which is out of range");
  return number;
}

std::optional<double> Gguf::real(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type == GgufType::string || value->type == GgufType::boolean) malformed(quoted(key) + " is not a number");
  const double number = gguf_real(*value, 0);
  if (!std::isfinite(number)) malformed(quoted(key) + " is not finite");
  return number;
}

std::optional<bool> Gguf::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type != GgufType::boolean) malformed(quoted(key) + " is not a boolean");
  return gguf_integer(*value, 0) != 0;
}

std::optional<std::string_view> Gguf::string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_array || value->type != GgufType::string) malformed(quoted(key) + " is not a string");
  std::string_view out;
  for_each_string(*value, [&](std::string_view s) { out = s; });
  return out;
}

}  // namespace sillar
