// Buffers from mmap (zeroed by the kernel, huge pages advised) or aligned_alloc; files by mmap.
#include "base/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace sillar {
namespace {

constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t cache_line = 64;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

[[noreturn]] void throw_out_of_memory(size_t bytes) {
  throw Error(ErrorKind::out_of_memory, "cannot allocate " + std::to_string(bytes) + " bytes of memory");
}

// Whole huge pages starting at a huge page: over-map by one, then unmap what sticks out.
std::byte* map_huge(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * huge_page) throw_out_of_memory(bytes);
  const size_t length = round_up(bytes, huge_page);
  void* raw = mmap(nullptr, length + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw_out_of_memory(bytes);
  const auto begin = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = round_up(begin, huge_page);
  if (aligned > begin) munmap(raw, aligned - begin);
  if (aligned < begin + huge_page)
    munmap(reinterpret_cast<void*>(aligned + length), begin + huge_page - aligned);
  madvise(reinterpret_cast<void*>(aligned), length, MADV_HUGEPAGE);  // advice: failing is fine
  return reinterpret_cast<std::byte*>(aligned);
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

[[noreturn]] void throw_bad_file(const std::string& path, const std::string& why) {
  throw Error(ErrorKind::file_format, "cannot read '" + path + "': " + why);
}

}  // namespace

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes >= huge_page) {
    data_ = map_huge(bytes);
    return;
  }
  const size_t length = round_up(bytes, cache_line);
  data_ = static_cast<std::byte*>(std::aligned_alloc(cache_line, length));
  if (data_ == nullptr) throw_out_of_memory(bytes);
  std::memset(data_, 0, length);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (bytes_ >= huge_page)
    munmap(data_, round_up(bytes_, huge_page));
  else
    std::free(data_);
}

bool buffers_get_huge_pages() {
  std::ifstream setting("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string words;
  return std::getline(setting, words) && words.find("[never]") == std::string::npos;
}

FileMapping::FileMapping(const std::string& path) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) throw_bad_file(path, std::strerror(errno));
  struct stat status;
  if (fstat(file.fd, &status) != 0) throw_bad_file(path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) throw_bad_file(path, "it is a directory");
  if (!S_ISREG(status.st_mode)) throw_bad_file(path, "it is not a regular file");
  if (status.st_size == 0) throw_bad_file(path, "it is empty");
  bytes_ = static_cast<size_t>(status.st_size);
  void* mapped = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (mapped == MAP_FAILED) {
    const bool memory = errno == ENOMEM;
    const std::string why = "cannot map '" + path + "': " + std::strerror(errno);
    throw Error(memory ? ErrorKind::out_of_memory : ErrorKind::file_format, why);
  }
  madvise(mapped, bytes_, MADV_HUGEPAGE);  // read in huge pages, where the file system has them
  data_ = static_cast<const std::byte*>(mapped);
}

FileMapping::~FileMapping() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), bytes_);
}

void FileMapping::release(size_t begin, size_t bytes) const {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (begin > bytes_ || bytes > bytes_ - begin) return;
  const size_t first = round_up(begin, page);          // whole pages only: the ends may hold
  const size_t last = (begin + bytes) / page * page;   // another tensor's bytes
  if (first < last) madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

bool FileMapping::in_huge_pages() const {
  std::ostringstream begin;
  begin << std::hex << reinterpret_cast<uintptr_t>(data_) << '-';
  std::ifstream areas("/proc/self/smaps");
  std::string word, line;
  while (std::getline(areas, line) && line.rfind(begin.str(), 0) != 0) {
  }
  size_t kib, resident = 0, huge = 0;
  while (std::getline(areas, line)) {
    std::istringstream field(line);
    if (!(field >> word >> kib)) continue;
    if (word == "Rss:") resident = kib;
    if (word == "FilePmdMapped:" || word == "ShmemPmdMapped:") huge += kib;
    if (word == "VmFlags:") break;
  }
  return 2 * huge > resident;
}

}  // namespace sillar
