// Aligned, huge-page-backed buffers and read-only file mappings. Both throw Error(out_of_memory)
// or Error(file_format) instead of returning null.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace sillar {

// Owns `bytes` zeroed bytes, 64-byte aligned; from 2 MiB on, mapped and advised to use huge pages.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Buffer();

  std::byte* data() const { return data_; }
  template <class T>
  T* as() const { return reinterpret_cast<T*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Whether the kernel gives buffers huge pages.
bool buffers_get_huge_pages();

// A whole file mapped read-only.
class FileMapping {
 public:
  FileMapping() = default;
  explicit FileMapping(const std::string& path);
  FileMapping(FileMapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  FileMapping& operator=(FileMapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~FileMapping();

  const std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Tells the kernel that [begin, begin + bytes) will not be read again soon, so that file pages
  // which were packed stop counting as resident.
  void release(size_t begin, size_t bytes) const;
  // Whether most of what was read so far lies in huge pages: older kernels and some file systems have none for files.
  bool in_huge_pages() const;

 private:
  const std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace sillar
