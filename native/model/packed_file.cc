// The checksum reads at the memory's speed: eight independent lanes, 4 MiB pieces dealt to the pool.
#include "model/packed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "kernels/kernels.h"

namespace sillar {
namespace {

constexpr char magic[8] = {'S', 'I', 'L', 'L', 'A', 'R', 'P', 'K'};
constexpr uint32_t version = 1;
constexpr uint64_t piece_bytes = 4 << 20;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t layout;
  uint64_t payload_bytes;
  uint64_t checksum;
  std::array<uint8_t, 32> key;
};
static_assert(sizeof(Header) <= packed_header_bytes);

// Multiplication by an odd constant and a rotation are bijective: a changed word always changes its lane.
uint64_t mixed(uint64_t lane, uint64_t word) {
  lane = (lane ^ word) * 0x9e3779b97f4a7c15U;
  return lane << 29 | lane >> 35;
}

uint64_t checksum_of_piece(const std::byte* data, uint64_t bytes) {
  uint64_t lanes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  uint64_t words[8] = {};
  while (bytes > 0) {
    const uint64_t count = std::min<uint64_t>(bytes, sizeof words);
    if (count < sizeof words) std::memset(words, 0, sizeof words);
    std::memcpy(words, data, count);
    for (int i = 0; i < 8; ++i) lanes[i] = mixed(lanes[i], words[i]);
    data += count;
    bytes -= count;
  }
  uint64_t sum = 0;
  for (uint64_t lane : lanes) sum = mixed(sum, lane);
  return sum;
}

uint64_t checksum_of(const std::byte* data, uint64_t bytes, ThreadPool& pool) {
  std::vector<uint64_t> pieces((bytes + piece_bytes - 1) / piece_bytes);
  pool.run(static_cast<int64_t>(pieces.size()), [&](int64_t task, int) {
    const uint64_t begin = static_cast<uint64_t>(task) * piece_bytes;
    pieces[static_cast<size_t>(task)] = checksum_of_piece(data + begin, std::min(piece_bytes, bytes - begin));
  });
  uint64_t sum = bytes;
  for (uint64_t piece : pieces) sum = mixed(sum, piece);
  return sum;
}

Header header_for(const PackedFile& file, uint64_t payload_bytes, uint64_t checksum) {
  Header header{};
  std::memcpy(header.magic, magic, sizeof magic);
  header.version = version;
  header.layout = kernels::packed_layout_version;
  header.payload_bytes = payload_bytes;
  header.checksum = checksum;
  header.key = file.key;
  return header;
}

}  // namespace

std::optional<FileMapping> open_packed(const PackedFile& file, uint64_t payload_bytes, ThreadPool& pool) {
  if (access(file.path.c_str(), R_OK) != 0) return std::nullopt;
  try {
    FileMapping mapping(file.path);
    if (mapping.bytes() != packed_header_bytes + payload_bytes) return std::nullopt;
    const uint64_t checksum = checksum_of(mapping.data() + packed_header_bytes, payload_bytes, pool);
    const Header expected = header_for(file, payload_bytes, checksum);
    if (std::memcmp(mapping.data(), &expected, sizeof expected) != 0) return std::nullopt;
    return mapping;
  } catch (const Error&) {  // not a file, or gone meanwhile
    return std::nullopt;
  }
}

PackedWriter::PackedWriter(const PackedFile& file, uint64_t payload_bytes)
    : file_(file), temporary_(file.path + "." + std::to_string(getpid()) + ".part"), payload_bytes_(payload_bytes) {
  const int fd = open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const size_t bytes = packed_header_bytes + payload_bytes;
  // Blocks are reserved now: a store into a mapped hole of a full disk would be a SIGBUS.
  if (posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0) {
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) {
      memory_ = static_cast<std::byte*>(mapped);
      // The pages of the cache are made as large as the file system can; those who map the file get them as they are.
      madvise(mapped, bytes, MADV_HUGEPAGE);
    }
  }
  close(fd);
}

PackedWriter::~PackedWriter() {
  if (memory_ != nullptr) munmap(memory_, packed_header_bytes + payload_bytes_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

FileMapping PackedWriter::commit(ThreadPool& pool) {
  const Header header = header_for(file_, payload_bytes_, checksum_of(payload(), payload_bytes_, pool));
  std::memcpy(memory_, &header, sizeof header);
  munmap(memory_, packed_header_bytes + payload_bytes_);
  memory_ = nullptr;
  FileMapping mapping(temporary_);
  if (rename(temporary_.c_str(), file_.path.c_str()) == 0) temporary_.clear();
  return mapping;
}

}  // namespace sillar
