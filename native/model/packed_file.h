// Packed matrices kept on disk, so that the second start maps them instead of packing again.
//
//   4096 bytes   "SILLARPK", u32 version, u32 layout version, u64 payload bytes, u64 checksum, key[32]; zeros
//   payload      as TensorLoader lays it out
//
// A file is written under a temporary name and renamed when it is whole. Its checksum is verified each
// time it is opened, so a write that a crash or a full disk cut short is found and packed again.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/memory.h"
#include "base/threads.h"

namespace sillar {

struct PackedFile {
  std::string path;
  std::array<uint8_t, 32> key{};  // names the model's content
  bool may_copy = false;          // there is memory for a copy in huge pages, should the file's own be small
};

constexpr size_t packed_header_bytes = 4096;

// Maps the file; null when it is missing, of another version or key, cut short or damaged.
std::optional<FileMapping> open_packed(const PackedFile& file, uint64_t payload_bytes, ThreadPool& pool);

// Room on disk for a payload; removed again unless commit() was called.
class PackedWriter {
 public:
  // Reserves the room; payload() is null where the disk refuses it.
  PackedWriter(const PackedFile& file, uint64_t payload_bytes);
  PackedWriter(const PackedWriter&) = delete;
  PackedWriter& operator=(const PackedWriter&) = delete;
  ~PackedWriter();

  std::byte* payload() const { return memory_ == nullptr ? nullptr : memory_ + packed_header_bytes; }
  // Completes the file and maps it read-only. Throws Error where it cannot be put in place.
  FileMapping commit(ThreadPool& pool);

 private:
  PackedFile file_;
  std::string temporary_;
  uint64_t payload_bytes_;
  std::byte* memory_ = nullptr;
};

}  // namespace sillar
