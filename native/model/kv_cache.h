// Storage of the paged KV cache: blocks of 16 tokens, all layers. No policy: who owns a block is
// decided outside.
#pragma once

#include <cstdint>

#include "base/memory.h"
#include "kernels/kernels.h"

namespace sillar {

class KvCache {
 public:
  // Throws Error(out_of_memory). Pages that are never written take no memory.
  KvCache(const kernels::KvLayout& layout, int64_t layers, int64_t blocks);

  const kernels::KvLayout& layout() const { return layout_; }
  int64_t blocks() const { return blocks_; }
  size_t block_bytes() const { return block_bytes_; }  // of one layer's keys; its values take the same

  std::byte* keys(int64_t layer) const { return storage_.data() + offset(2 * layer); }
  std::byte* values(int64_t layer) const { return storage_.data() + offset(2 * layer + 1); }

  // One block's content, all layers, in the cache's own layout: content_bytes() bytes.
  size_t content_bytes() const { return 2 * static_cast<size_t>(layers_) * block_bytes_; }
  void read_block(int64_t block, std::byte* content) const;
  void write_block(int64_t block, const std::byte* content);

 private:
  size_t offset(int64_t plane) const { return static_cast<size_t>(plane * blocks_) * block_bytes_; }

  kernels::KvLayout layout_;
  int64_t layers_;
  int64_t blocks_;
  size_t block_bytes_;
  Buffer storage_;
};

// Bytes of one block over all layers, keys and values.
size_t kv_bytes_per_block(const kernels::KvLayout& layout, int64_t layers);

}  // namespace sillar
