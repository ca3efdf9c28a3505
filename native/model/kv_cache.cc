// One buffer: for each layer a plane of keys and a plane of values, each plane all blocks.
#include "model/kv_cache.h"

#include <cassert>
#include <cstring>

#include "base/error.h"

namespace sillar {
namespace {

size_t total_bytes(const kernels::KvLayout& layout, int64_t layers, int64_t blocks) {
  size_t bytes = 0;
  if (blocks < 1 || __builtin_mul_overflow(kv_bytes_per_block(layout, layers), static_cast<size_t>(blocks), &bytes)) {
    throw Error(ErrorKind::out_of_memory, "a KV cache of this size cannot be had; ask for fewer tokens");
  }
  return bytes;
}

}  // namespace

size_t kv_bytes_per_block(const kernels::KvLayout& layout, int64_t layers) {
  return 2 * static_cast<size_t>(layers) * kernels::kv_block_bytes(layout);
}

KvCache::KvCache(const kernels::KvLayout& layout, int64_t layers, int64_t blocks)
    : layout_(layout),
      layers_(layers),
      blocks_(blocks),
      block_bytes_(kernels::kv_block_bytes(layout)),
      storage_(total_bytes(layout, layers, blocks)) {}

void KvCache::read_block(int64_t block, std::byte* content) const {
  assert(block >= 0 && block < blocks_);
  for (int64_t plane = 0; plane < 2 * layers_; ++plane, content += block_bytes_) {
    std::memcpy(content, storage_.data() + offset(plane) + static_cast<size_t>(block) * block_bytes_, block_bytes_);
  }
}

void KvCache::write_block(int64_t block, const std::byte* content) {
  assert(block >= 0 && block < blocks_);
  for (int64_t plane = 0; plane < 2 * layers_; ++plane, content += block_bytes_) {
    std::memcpy(storage_.data() + offset(plane) + static_cast<size_t>(block) * block_bytes_, content, block_bytes_);
  }
}

}  // namespace sillar
