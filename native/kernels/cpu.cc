// CPUID with the operating system's consent (XGETBV, AMX permission), then the limits of this process.
#include "kernels/cpu.h"

#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sillar::kernels {
namespace {

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

#if defined(__x86_64__)
struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);  // an unknown leaf leaves zeros
  return r;
}

bool bit(unsigned word, int index) { return (word >> index & 1u) != 0; }

uint64_t saved_state() {  // XCR0: the register files that the operating system saves
  if (!bit(cpuid(1).ecx, 27)) return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux hands out the tile data only on request (arch_prctl ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool request_amx() {
  constexpr long arch_req_xcomp_perm = 0x1023, xtiledata = 18;
  return syscall(SYS_arch_prctl, arch_req_xcomp_perm, xtiledata) == 0;
}

void detect_isa(Cpu& cpu) {
  const Registers leaf1 = cpuid(1), leaf7 = cpuid(7), leaf7_1 = cpuid(7, 1);
  const uint64_t xcr0 = saved_state();
  const bool ymm = (xcr0 & 0x6) == 0x6;
  const bool zmm = (xcr0 & 0xe6) == 0xe6;
  const bool tiles = (xcr0 & 0x60000) == 0x60000;
  cpu.avx2 = ymm && bit(leaf7.ebx, 5) && bit(leaf1.ecx, 12) && bit(leaf1.ecx, 29) && bit(leaf7.ebx, 8);
  cpu.avx512 = cpu.avx2 && zmm && bit(leaf7.ebx, 16) && bit(leaf7.ebx, 17) && bit(leaf7.ebx, 28) &&
               bit(leaf7.ebx, 30) && bit(leaf7.ebx, 31);
  cpu.avx512_vnni = cpu.avx512 && bit(leaf7.ecx, 11);
  cpu.avx512_vbmi = cpu.avx512 && bit(leaf7.ecx, 1);
  cpu.avx512_bf16 = cpu.avx512 && bit(leaf7_1.eax, 5);
  if (cpu.avx512 && tiles && bit(leaf7.edx, 24) && request_amx()) {
    cpu.amx_int8 = bit(leaf7.edx, 25);
    cpu.amx_bf16 = bit(leaf7.edx, 22);
  }
}

std::string brand() {
  if (cpuid(0x80000000).eax < 0x80000004) return "x86-64";
  std::string name;
  for (unsigned leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    const Registers r = cpuid(leaf);
    for (const unsigned word : {r.eax, r.ebx, r.ecx, r.edx})
      for (int i = 0; i < 4; ++i)
        if (const char c = char(word >> (8 * i)); c != 0) name += c;
  }
  const size_t first = name.find_first_not_of(' ');
  return first == std::string::npos ? "x86-64" : name.substr(first, name.find_last_not_of(' ') - first + 1);
}
#else
void detect_isa(Cpu&) {}
std::string brand() { return "not x86-64"; }
#endif

void detect_caches(Cpu& cpu) {
  for (int index = 0; index < 8; ++index) {
    const std::string dir = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const std::string level = read_line(dir + "level");
    if (level.empty()) break;
    long size = 0;
    char unit = 0;
    if (std::sscanf(read_line(dir + "size").c_str(), "%ld%c", &size, &unit) < 1) continue;
    const int64_t bytes = int64_t{size} * (unit == 'M' ? 1 << 20 : unit == 'K' ? 1 << 10 : 1);
    if (level == "1" && read_line(dir + "type") == "Data") cpu.l1d_bytes = bytes;
    if (level == "2") cpu.l2_bytes = bytes;
    if (level == "3") cpu.l3_bytes = bytes;
  }
}

void detect_affinity(Cpu& cpu) {
  for (int cpus = 1024; cpus <= 1 << 16; cpus *= 2) {  // the kernel refuses a mask smaller than its own
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (int i = 0; known && i < cpus; ++i)
      if (CPU_ISSET_S(i, bytes, set)) cpu.allowed.push_back(i);
    CPU_FREE(set);
    if (known) break;
  }
  if (cpu.allowed.empty()) cpu.allowed.push_back(0);
  std::set<std::string> seen;  // a core is known by the list of its SMT siblings
  for (const int i : cpu.allowed) {
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/";
    std::string core = read_line(topology + "thread_siblings_list");
    if (core.empty()) core = "cpu" + std::to_string(i);
    if (seen.insert(core).second) cpu.physical.push_back(i);
  }
}

double quota_v2(const std::string& dir) {
  std::istringstream line(read_line(dir + "/cpu.max"));
  std::string limit;
  double period = 0;
  if (!(line >> limit >> period) || limit == "max" || period <= 0) return 0;
  return std::max(0.0, std::atof(limit.c_str()) / period);
}

double quota_v1(const std::string& dir) {
  const double limit = std::atof(read_line(dir + "/cpu.cfs_quota_us").c_str());
  const double period = std::atof(read_line(dir + "/cpu.cfs_period_us").c_str());
  return limit > 0 && period > 0 ? limit / period : 0;
}

// The smallest quota from our group up to the mount's root. In a container the path that
// /proc/self/cgroup shows may not exist below the mount: then its root is our own group.
double smallest_quota(const std::string& mount, std::string group, double (*quota)(const std::string&)) {
  double smallest = 0;
  const auto consider = [&](const std::string& dir) {
    const double q = quota(dir);
    if (q > 0 && (smallest == 0 || q < smallest)) smallest = q;
  };
  while (group.size() > 1) {
    consider(mount + group);
    group.resize(group.rfind('/'));
  }
  consider(mount);
  return smallest;
}

double detect_quota() {
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  double smallest = 0;
  while (std::getline(groups, line)) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (group.empty() || group[0] != '/') continue;
    double q = 0;
    if (controllers == ",,") {
      q = smallest_quota("/sys/fs/cgroup", group, quota_v2);
      if (q == 0) q = smallest_quota("/sys/fs/cgroup/unified", group, quota_v2);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      q = smallest_quota("/sys/fs/cgroup/cpu", group, quota_v1);
      if (q == 0) q = smallest_quota("/sys/fs/cgroup/cpu,cpuacct", group, quota_v1);
    }
    if (q > 0 && (smallest == 0 || q < smallest)) smallest = q;
  }
  return smallest;
}

int count_numa_nodes() {
  DIR* dir = opendir("/sys/devices/system/node");
  if (dir == nullptr) return 1;
  int nodes = 0;
  while (const dirent* entry = readdir(dir)) {
    int number = 0;
    char rest = 0;
    if (std::sscanf(entry->d_name, "node%d%c", &number, &rest) == 1) ++nodes;
  }
  closedir(dir);
  return std::max(nodes, 1);
}

void choose_threads(Cpu& cpu) {
  const int cores = static_cast<int>(cpu.physical.size());
  const int cpus = static_cast<int>(cpu.allowed.size());
  cpu.threads = cores;
  std::string reason = std::to_string(cores) + (cores == 1 ? " physical core" : " physical cores");
  reason += cpus == cores ? " allowed by the affinity mask"
                          : " behind the " + std::to_string(cpus) + " CPUs of the affinity mask (SMT siblings share one)";
  if (cpu.quota > 0 && cpu.quota < cores) {
    cpu.threads = std::max(1, static_cast<int>(cpu.quota));
    std::ostringstream quota;
    quota << cpu.quota;
    reason += ", limited by a cgroup CPU quota of " + quota.str();
  }
  cpu.threads_reason = reason + ".";
}

}  // namespace

Cpu detect_cpu() {
  Cpu cpu;
  cpu.name = brand();
  detect_isa(cpu);
  detect_caches(cpu);
  detect_affinity(cpu);
  cpu.quota = detect_quota();
  cpu.numa_nodes = count_numa_nodes();
  choose_threads(cpu);
  return cpu;
}

}  // namespace sillar::kernels
